# SPDX-License-Identifier: Apache-2.0
"""Who holds each frame of RAM, in groups: frames of one kind, holder and charged cgroup are one group.

All by columns: a group is a number per frame, and only groups are looked at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from memir.kernel import frames as kinds
from memir.kernel import slab_charge
from memir.kernel.cgroup_tree import Cgroups
from memir.kernel.engine import Kernel
from memir.kernel.frames import ANONYMOUS, Frames
from memir.kernel.page import Pages
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rmap import anonymous_regions
from memir.kernel.rows import numbered, rows_of
from memir.kernel.slab_charge import Charges
from memir.kernel.vma import Vmas
from memir.kube.processes import ProcessList

MAPPED, REVERSE, NOBODY = range(3)
"""How the processes of anonymous frames are known: by page tables, by anon_vma (not mapped now), not at all."""
_NONE = -1


class Node(Protocol):
    """What is asked of a node: memir.kube.ram.RamSource is one."""

    @property
    def kernel(self) -> Kernel: ...  # noqa: D102
    @property
    def pages(self) -> Pages: ...  # noqa: D102
    @property
    def processes(self) -> ProcessList: ...  # noqa: D102
    @property
    def regions(self) -> tuple[U64, Vmas]: ...  # noqa: D102
    @property
    def cgroup_tree(self) -> Cgroups: ...  # noqa: D102


@dataclass(frozen=True)
class Groups:
    """Groups of frames, the largest first. kind, frames, mapped, how: int64[n]; holder, charge: uint64[n].

    kind, holder, charge: as in memir.kernel.frames.Frames, an anonymous group's holder being 0. spaces: mm_structs of
    the processes that have an anonymous group, each list one group's. mapped: how many of its frames processes map.
    how: MAPPED, REVERSE or NOBODY for anonymous ones, else 0. objects: what in slabs' frames is charged to a cgroup.
    """

    kind: I64
    holder: U64
    charge: U64
    spaces: list[list[int]]
    frames: I64
    mapped: I64
    how: I64
    objects: Charges

    def __len__(self) -> int:
        return len(self.kind)


def groups(node: Node) -> Groups:
    """Every frame of the image in one group."""
    kernel, mm = node.kernel, node.regions[0]
    pages, idle = node.pages.busy()
    known = kinds.frames(kernel, pages, mm=mm, task=node.processes.threads.task, cgroup=node.cgroup_tree.cgroup)
    place, owner, first, which = kinds.spaces_of(kernel, known, mm)
    in_sets = np.full(len(known), _NONE, np.int64)
    in_sets[place[first]] = which
    edge = np.append(first, len(place))
    example = np.full(int(which.max()) + 1 if len(which) else 0, _NONE, np.int64)
    example[which[::-1]] = np.arange(len(which))[::-1]
    sets = [sorted(owner[edge[row] : edge[row + 1]].tolist()) for row in example.tolist()]
    mapped = in_sets >= 0
    anonymous = known.kind == ANONYMOUS
    in_sets[~anonymous] = _NONE
    _by_reverse_map(kernel, known, mm, in_sets, sets)
    how = np.where(mapped, MAPPED, np.where(in_sets >= 0, REVERSE, NOBODY))
    how[~anonymous] = 0
    example, count, maps = _grouped(known, in_sets, how, mapped, idle)
    order = np.lexsort((known.holder[example], known.kind[example], -count))
    row = example[order]
    slabs = np.flatnonzero(known.kind == kinds.SLAB)
    pfn = pages.pfn()[slabs]
    members = [[int(mm[place]) for place in sets[number]] if number >= 0 else [] for number in in_sets[row].tolist()]
    return Groups(
        known.kind[row].astype(np.int64), known.holder[row], known.charge[row], members, count[order].astype(np.int64),
        maps[order], how[row], slab_charge.charges(kernel, pfn, known.holder[slabs], node.cgroup_tree.cgroup),
    )  # fmt: skip


def _grouped(known: Frames, in_sets: I64, how: I64, mapped: Bools, idle: int) -> tuple[I64, I64, I64]:
    """Of each group: one of its frames, how many it has, how many of those are mapped.

    Only frames that somebody holds are sorted: of the others, on a large node most of RAM, a group is a kind. idle: so
    many more frames are free, of whole chunks of them that the known ones lack.
    """
    held = (known.holder != 0) | (known.charge != 0) | (in_sets >= 0) | (how != 0)
    row = np.flatnonzero(held)
    parts = [known.kind[row].astype(np.uint64), known.holder[row], known.charge[row]]
    group, first, count = numbered([*parts, (in_sets[row] + 1).astype(np.uint64), how[row].astype(np.uint64)])
    maps = np.bincount(group, mapped[row], len(count)).astype(np.int64)
    bare = np.bincount(known.kind[~held], minlength=kinds.FREE + 1)
    kinds_left = np.flatnonzero(bare)
    example = [int(np.argmax((known.kind == kind) & ~held)) for kind in kinds_left.tolist()]
    bare[kinds.FREE] += idle
    bare_maps = np.bincount(known.kind[~held], mapped[~held], len(bare)).astype(np.int64)
    return (
        np.append(row[first], np.array(example, np.int64)),
        np.append(count, bare[kinds_left]),
        np.append(maps, bare_maps[kinds_left]),
    )


def _by_reverse_map(kernel: Kernel, known: Frames, mm: U64, in_sets: I64, sets: list[list[int]]) -> None:
    """Anonymous frames that no page table names: those of whose anon_vma a living process's region is a part."""
    bare = np.flatnonzero((known.kind == ANONYMOUS) & (in_sets < 0))
    mapping, back = np.unique(known.mapping[bare], return_inverse=True)
    row, region = anonymous_regions(kernel, mapping)
    space = rows_of(mm, kernel.pointer(region, "vm_area_struct", "vm_mm", gap=False))
    row, space = row[space >= 0], space[space >= 0]
    edge = np.searchsorted(row, np.arange(len(mapping) + 1))
    number: dict[tuple[int, ...], int] = {}
    for_mapping = np.full(len(mapping), _NONE, np.int64)
    for place in np.flatnonzero(np.diff(edge) > 0).tolist():
        of = tuple(sorted(set(space[edge[place] : edge[place + 1]].tolist())))
        if of not in number:
            number[of] = len(sets)
            sets.append(list(of))
        for_mapping[place] = number[of]
    in_sets[bare] = for_mapping[back.reshape(-1)]
