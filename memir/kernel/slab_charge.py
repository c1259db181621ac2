# SPDX-License-Identifier: Apache-2.0
"""mm/slab.h, obj_cgroups: the cgroups that objects of slabs are charged to.

A slab's memcg_data leads to a vector with one entry an object (5.9, 10befea91b61): cgroups share a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import slab
from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import among, spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_VECTOR, _FLAGS = np.uint64(1), np.uint64(7)  # MEMCG_DATA_OBJEXTS, before MEMCG_DATA_OBJCGS
_MOST = 1 << 13  # objects of one slab: 32 KiB of 8 bytes are 4,096
_BATCH = 1 << 14  # slabs whose vectors are read at once


@dataclass(frozen=True)
class Charges:
    """One row a slab cache and cgroup: struct kmem_cache, struct cgroup, objects, and their bytes without the entry of
    the vector, which the kernel counts too (8 bytes an object)."""

    cache: U64
    cgroup: U64
    objects: I64
    bytes: I64


def charges(kernel: Kernel, frame: U64, cache: U64, cgroup: U64) -> Charges:
    """Of the slabs that these frames (numbers) and kmem_caches are. cgroup: those that there are; others count not."""
    page = slab.heads(kernel, kernel.space.struct_page(np.asarray(frame, np.uint64) << np.uint64(12)))
    page, first = np.unique(page, return_index=True)
    member = _member(kernel)
    if member is None or not kernel.types.exists("obj_cgroup"):  # without memory cgroups
        return _summed(kernel, [], cgroup)
    vector = kernel.pointer(page, *member, gap=False)
    some = (vector & _VECTOR) != 0
    page, cache, vector = page[some], cache[first][some], vector[some] & ~_FLAGS
    struct = "slab" if kernel.types.has("slab", "objects") else "page"
    count = kernel.read(page, struct, "objects").astype(np.int64)
    absurd = count > _MOST
    kernel.gaps.add("charges of slabs", f"{int(page[absurd][0]) if absurd.any() else 0:#x}", "absurd number of objects",
                    int(absurd.sum()))  # fmt: skip
    count[absurd] = 0
    # 6.10 (21c690a349ba): an entry is a struct, which has more than the cgroup where allocations are profiled
    wide = kernel.types.exists("slabobj_ext") and kernel.types.has("slabobj_ext", "objcg")
    step = kernel.types.size("slabobj_ext") if wide else 8
    inside = kernel.types.offset("slabobj_ext", "objcg") if wide else 0
    strides = np.full(len(page), step, np.int64)
    if kernel.types.has("slab", "stride"):  # 7.0: the vector may lie in the slab itself, at the end of each object
        own = kernel.read(page, "slab", "stride").astype(np.int64)
        strides = np.where((own >= step) & (own <= 1 << 20), own, step)
    parts: list[tuple[U64, U64]] = []
    for begin in range(0, len(page), _BATCH):
        part = slice(begin, begin + _BATCH)
        row, number = spread(count[part])
        place = vector[part][row] + (number * strides[part][row] + inside).astype(np.uint64)
        holder, read = kernel.try_pointers(place)
        kernel.count_unread("charges of slabs", place, read)
        good = (holder != 0) & kernel.space.is_kernel_pointer(holder)
        parts.append((cache[part][row[good]], holder[good]))
    return _summed(kernel, parts, cgroup)


def _member(kernel: Kernel) -> tuple[str, str] | None:
    places = (("slab", "obj_exts"), ("slab", "memcg_data"), ("page", "memcg_data"), ("page", "obj_cgroups"))
    return next((place for place in places if kernel.types.has(*place)), None)


def _summed(kernel: Kernel, parts: list[tuple[U64, U64]], cgroup: U64) -> Charges:
    none = np.zeros(0, np.uint64)
    cache, holder = (np.concatenate([none, *column]) for column in zip(*parts, strict=True)) if parts else (none, none)
    unique, back = np.unique(holder, return_inverse=True)
    memory = kernel.pointer(unique, "obj_cgroup", "memcg", gap=False) if len(unique) else none
    own = kernel.pointer(memory, "mem_cgroup", "css.cgroup", gap=False) if len(unique) else none
    known = among(own, cgroup)
    kept = known[back.reshape(-1)]
    kernel.gaps.add("charges of slabs", "obj_cgroup", "leads to no cgroup that there is", int((~kept).sum()))
    pairs = np.stack((cache, own[back.reshape(-1)]), 1)[kept]
    pairs, count = np.unique(pairs, axis=0, return_counts=True)
    size = kernel.read(pairs[:, 0], "kmem_cache", "size").astype(np.int64)
    sound = (size > 0) & (size <= 1 << 20)
    count = count.astype(np.int64)
    return Charges(pairs[sound, 0], pairs[sound, 1], count[sound], count[sound] * size[sound])
