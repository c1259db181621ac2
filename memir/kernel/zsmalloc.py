# SPDX-License-Identifier: Apache-2.0
"""mm/zsmalloc.c: compressed pages that zram and zswap keep in RAM, by their handles.

The handle is the address of a word that says in which page frame an object begins. The object begins with that handle,
bit 0 set (OBJ_ALLOCATED_TAG), so that the frame is searched for it: no size class and no type of a module is needed,
and what is found is proved. Objects of a whole page have none; there the frame's struct page names the handle, with
that bit or without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.pagetable import I64, U64, Bools

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

PAGE = 4096
_HEAD = 8  # ZS_HANDLE_SIZE
_STEP = 16  # ZS_SIZE_CLASS_DELTA: objects begin at multiples of it
_BATCH = 2048  # pages looked through at once: 8 MiB
# pfn of an object's word: above the index of MAX_POSSIBLE_PHYSMEM_BITS 52 (x86-64, arm64 with LPA) or 48
_SHIFTS = (24, 28)
_LINK = 32  # of struct page: index, freelist or zpdesc.next, which names the next page of the same zspage


@dataclass(frozen=True)
class Objects:
    """Where objects lie. first: uint64[n], physical address of the content; room: int64[n], bytes of it in that page;
    second: uint64[n], of the rest, 0 for none; ok: whether it was found."""

    first: U64
    room: I64
    second: U64
    ok: Bools


def locate(kernel: Kernel, handle: U64, size: I64) -> Objects:
    """The objects of these handles; size: int64[n], bytes of content, at most a page."""
    handle = np.where(kernel.space.is_kernel_pointer(handle), handle, np.uint64(0))
    word, read = kernel.try_pointers(handle)
    size = np.asarray(size, np.int64)
    first, second = np.zeros(len(handle), np.uint64), np.zeros(len(handle), np.uint64)
    room, ok = np.zeros(len(handle), np.int64), np.zeros(len(handle), bool)
    usable = read & (size > 0) & (size <= PAGE)
    for shift in _SHIFTS:
        for begin in range(0, len(handle), _BATCH):
            part = slice(begin, begin + _BATCH)
            rows = np.flatnonzero((usable & ~ok)[part]) + begin
            frame = (word[rows] >> np.uint64(shift)) << np.uint64(12)
            place, certain = _begins(kernel, frame, handle[rows])
            left = np.minimum(size[rows], PAGE - place)
            following = _next(kernel, np.where(certain & (left < size[rows]), frame, np.uint64(0)))
            certain &= (left == size[rows]) | (following != 0)
            here = rows[certain]
            first[here] = frame[certain] + place[certain].astype(np.uint64)
            room[here], second[here], ok[here] = left[certain], following[certain], True
    return Objects(first, room, second, ok)


def _begins(kernel: Kernel, frame: U64, handle: U64) -> tuple[I64, Bools]:
    """(offset of the content in its page frame, found) of objects."""
    data, ok = kernel.memory.gather(frame, PAGE)
    heads = data.view("<u8")[:, :: _STEP // 8] == (handle | np.uint64(1))[:, None]
    certain = ok & (heads.sum(axis=1) == 1)
    place = np.where(certain, heads.argmax(axis=1) * _STEP + _HEAD, 0).astype(np.int64)
    page = kernel.space.struct_page(frame)
    whole = ok & ~certain & (kernel.pointers(page + np.uint64(_LINK)) | np.uint64(1) == handle | np.uint64(1))
    return place, certain | whole


def _next(kernel: Kernel, frame: U64) -> U64:
    """Physical address of the page that goes on after each frame, 0 for none or for frame 0."""
    page = kernel.pointers(np.where(frame != 0, kernel.space.struct_page(frame) + np.uint64(_LINK), np.uint64(0)))
    pa = kernel.space.page_physical(page)
    good = (page >= np.uint64(kernel.space.vmemmap)) & (kernel.space.struct_page(pa) == page)
    return np.where(good & kernel.memory.present(pa), pa, np.uint64(0))


def content(kernel: Kernel, objects: Objects, row: int, size: int) -> bytes | None:
    """The bytes of one object, None if they are not in the image."""
    if not objects.ok[row]:
        return None
    parts, holes = kernel.memory.read_partial(int(objects.first[row]), int(objects.room[row]))
    rest = size - int(objects.room[row])
    if rest and not holes:
        behind, holes = kernel.memory.read_partial(int(objects.second[row]), rest)
        parts += behind
    return None if holes else parts
