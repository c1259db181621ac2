# SPDX-License-Identifier: Apache-2.0
"""Objects of slabs by cgroup: as many bytes as memory.stat said in the moment before the machine was stopped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from memir.kernel import frames as kinds
from memir.kernel import slab
from memir.kernel.slab_charge import Charges, charges
from memir.kube.ram import RamSource
from tests.hunt.hunting import planted
from tests.kernel.recorded import node, told
from tests.kernel.test_frames import every

NAME = "s-6.12-recorded"
NodeOf = Callable[[str], RamSource]


def read(source: RamSource, cgroup: np.ndarray[tuple[int], np.dtype[np.uint64]] | None = None) -> Charges:
    known = every(source)
    rows = np.flatnonzero(known.kind == kinds.SLAB)
    there = source.cgroup_tree.cgroup if cgroup is None else cgroup
    return charges(source.kernel, known.pages.pfn()[rows], known.holder[rows], there)


def test_each_cgroup_has_as_many_bytes_as_memory_stat_said() -> None:
    """With all below it, and 8 bytes of the vector an object; one process went on between recording and stop."""
    source = node(NAME)
    made = read(source)
    path = dict(zip(source.cgroup_tree.cgroup.tolist(), source.cgroup_tree.path, strict=True))
    own: dict[str, int] = defaultdict(int)
    for cgroup, size, count in zip(made.cgroup.tolist(), made.bytes.tolist(), made.objects.tolist(), strict=True):
        own[path[cgroup] or "?"] += size + 8 * count
    differ = {}
    for name, stat in told(NAME).stat.items():
        below = sum(size for each, size in own.items() if each == name or each.startswith(name.rstrip("/") + "/"))
        if below != stat["slab"]:
            differ[name] = below - stat["slab"]
    assert len(told(NAME).stat) >= 17 and sum(stat["slab"] > 0 for stat in told(NAME).stat.values()) >= 15
    assert len(differ) <= 5 and len(set(differ.values())) <= 1  # an object of one container, and so of all above it
    assert all(abs(size) <= 4096 and max(differ, key=len).startswith(name) for name, size in differ.items())
    assert not [gap for gap in source.gaps if gap.kind == "charges of slabs"]


def test_every_kernel_has_charges_of_its_containers(image: str, node_of: NodeOf) -> None:
    source = node_of(image)
    made = read(source)
    assert len(made.cache) == len({*zip(made.cache.tolist(), made.cgroup.tolist(), strict=True)}) > 50
    assert (made.objects > 0).all() and (made.bytes >= 8 * made.objects).all()
    path = dict(zip(source.cgroup_tree.cgroup.tolist(), source.cgroup_tree.path, strict=True))
    assert sum("kubepods" in (path[cgroup] or "") for cgroup in np.unique(made.cgroup).tolist()) >= 7


def test_what_leads_to_no_cgroup_and_absurd_counts_are_gaps() -> None:
    source = node(NAME)
    made = read(source)
    clean = planted(source, {})
    assert not len(read(clean, made.cgroup[:0]).cache)
    (gap,) = [gap for gap in clean.gaps if gap.kind == "charges of slabs"]
    assert gap.count == int(made.objects.sum()) and gap.why == "leads to no cgroup that there is"
    kernel, known = source.kernel, every(source)
    rows = np.flatnonzero((known.kind == kinds.SLAB) & np.isin(known.holder, made.cache))
    page = slab.heads(kernel, kernel.space.struct_page(known.pages.pfn()[rows] << np.uint64(12)))
    page = page[(kernel.pointer(page, "slab", "obj_exts", gap=False) & np.uint64(1)) != 0][:1]
    place = int(kernel.space.physical(kernel.embedded(page, "slab", "counters"))[0][0])
    other = planted(source, {place: b"\xff" * 8})
    assert read(other).objects.sum() < made.objects.sum()
    assert [gap.why for gap in other.gaps if gap.kind == "charges of slabs"] == ["absurd number of objects"]
