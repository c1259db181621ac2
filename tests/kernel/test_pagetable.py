# SPDX-License-Identifier: Apache-2.0
"""Page tables of real images: the vectorised walk against one written out plainly, entry by entry."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from memir.image.memory import PhysicalMemory, Range
from memir.kernel import mm, pagetable
from memir.kernel.engine import Kernel
from memir.kernel.x86_64 import X86Format
from memir.symbols.locate import locate
from tests.images import case, cases

IMAGES = tuple(
    name
    for name in ("s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2", "arm64-6.1-small-n1")
    if name in cases()
)
SAMPLE = 400


@functools.lru_cache(maxsize=1)
def kernel_of(name: str) -> Kernel:
    memory = case(name).open()
    return Kernel(memory, locate(memory))


def word(memory: PhysicalMemory, pa: int) -> int | None:
    return (
        int.from_bytes(memory.read(pa, 8), "little")
        if memory.present(np.array([pa, pa + 7], np.uint64)).all()
        else None
    )


def x86(memory: PhysicalMemory, levels: int, root: int, va: int) -> int | None:
    """Intel SDM vol. 3, figures 4-8 to 4-10."""
    table = root & 0x000F_FFFF_FFFF_F000
    for shift in [48, 39, 30, 21, 12][5 - levels :]:
        entry = word(memory, table + ((va >> shift) & 511) * 8)
        if entry is None or not entry & 1:
            return None
        table = entry & 0x000F_FFFF_FFFF_F000
        if shift == 12 or (shift in (21, 30) and entry & 0x80):
            return table >> shift << shift | va & ((1 << shift) - 1)
    raise AssertionError


def arm(memory: PhysicalMemory, levels: int, root: int, va: int, lpa2: bool) -> int | None:
    """Arm ARM D8.3: table and block descriptors of the 4 KiB granule, FEAT_LPA2 where 52 bits are in use."""
    table = root
    for shift in [48, 39, 30, 21, 12][5 - levels :]:
        width = 4 if shift == 48 else 9
        entry = word(memory, table + ((va >> shift) & ((1 << width) - 1)) * 8)
        if entry is None or not entry & 1:
            return None
        block = not entry & 2
        if block and shift not in (30, 21):
            return None
        table = entry & 0x0003_FFFF_FFFF_F000 | (entry >> 8 & 3) << 50 if lpa2 else entry & 0x0000_FFFF_FFFF_F000
        if block or shift == 12:
            return table >> shift << shift | va & ((1 << shift) - 1)
    raise AssertionError


def plainly(kernel: Kernel, root: int, va: int) -> int | None:
    fmt = kernel.space.fmt
    if kernel.anchors.arch == "arm64":
        return arm(kernel.memory, fmt.levels, root, va, lpa2=bool(getattr(fmt, "lpa2", False)))
    return x86(kernel.memory, fmt.levels, root, va)


def addresses(kernel: Kernel) -> list[int]:
    """Addresses of every sort of the kernel's: image, direct map, struct pages, modules and vmalloc, and unmapped."""
    rng = np.random.default_rng(3)
    space = kernel.space
    some = [int(value) for value in rng.integers(0, kernel.memory.end, SAMPLE)]
    direct = [(space.direct_delta + pa) & (2**64 - 1) for pa in some]
    image = [int(value) for value in rng.integers(space.image[0], space.image[1], SAMPLE, dtype=np.uint64)]
    pages = [space.vmemmap + 64 * (pa >> 12) for pa in some]
    modules = [value for name, value in kernel.symbols.extra.items() if value >> 63] + [kernel.anchors.init_task]
    wild = [int(value) | 1 << 63 for value in rng.integers(0, 1 << 63, SAMPLE)]
    return [*direct, *image, *pages, *modules, *wild, 0, 2**64 - 1]


@pytest.mark.parametrize("name", IMAGES)
def test_kernel_addresses(name: str) -> None:
    kernel = kernel_of(name)
    every = addresses(kernel)
    pa, found = pagetable.translate(
        kernel.memory, kernel.space.fmt, np.array([kernel.space.root], np.uint64), np.array(every, np.uint64)
    )
    got = [int(at) if ok else None for at, ok in zip(pa.tolist(), found.tolist(), strict=True)]
    assert got == [plainly(kernel, kernel.space.root, va) for va in every]
    assert sum(one is not None for one in got) > SAMPLE


@pytest.mark.parametrize("name", IMAGES)
def test_subtraction_is_what_the_tables_say(name: str) -> None:
    """The direct map and the image are translated without the tables: both must agree."""
    kernel = kernel_of(name)
    for va in addresses(kernel):
        if not va >> 63:  # arm64: these go through another register, whatever the kernel's own table says
            continue
        told = plainly(kernel, kernel.space.root, va)
        pa, known = kernel.space.physical(np.array([va], np.uint64))
        if told is not None and told < kernel.memory.end:
            assert (bool(known[0]), int(pa[0])) == (True, told), hex(va)


@pytest.mark.parametrize("name", IMAGES)
def test_user_mappings(name: str) -> None:
    """All pages of a few processes: each is where the plain walk finds it, and no page around them is left out."""
    kernel = kernel_of(name)
    tasks = np.array([kernel.anchors.init_task], np.uint64)
    links = np.uint64(kernel.types.offset("task_struct", "tasks"))
    for _ in range(120):
        tasks = np.append(tasks, kernel.pointers(tasks[-1:] + links) - links)
    spaces = np.unique(kernel.read(tasks, "task_struct", "mm").astype(np.uint64))
    roots = mm.page_roots(kernel, spaces[spaces != 0][:4])
    assert len(roots) == 4
    found = kernel.space.user_mappings(roots)
    assert found.unread == 0
    for owner in range(len(roots)):
        mine = found.owner == owner
        starts, sizes = found.va[mine].tolist(), found.size[mine].tolist()
        pages = {
            va + step: pa + step
            for va, pa, size in zip(starts, found.pa[mine].tolist(), sizes, strict=True)
            for step in range(0, size, 4096)
        }
        assert {va: plainly(kernel, int(roots[owner]), va) for va in pages} == pages
        around = {va + 4096 for va in pages} - pages.keys()
        assert {
            va for va in around if va < kernel.space.user_limit and plainly(kernel, int(roots[owner]), va) is not None
        } == set()
        assert len(pages) > 10


def table(words: dict[int, int]) -> PhysicalMemory:
    data = np.zeros(1 << 17, np.uint64)
    for at, value in words.items():
        data[at // 8] = value
    raw = data.tobytes()
    return PhysicalMemory.from_reader([Range(0, len(raw))], lambda pa, size: raw[pa : pa + size], "made", "raw")


def test_tables_that_lead_back_to_themselves() -> None:
    """The top table in its own place, as Windows does: a walk ends at the last level, each page once."""
    memory = table({0x1000 + 8 * 5: 0x1003})
    va = sum(5 << shift for shift in (39, 30, 21, 12))
    root = np.array([0x1000], np.uint64)
    pa, found = pagetable.translate(memory, X86Format(4), root, np.array([va, va + 8, va ^ 1 << 12], np.uint64))
    assert (pa.tolist(), found.tolist()) == ([0x1000, 0x1008, 0], [True, True, False])
    every = pagetable.mappings(memory, X86Format(4), root, 0, 1 << 47)
    assert (every.va.tolist(), every.pa.tolist(), every.size.tolist(), every.unread) == ([va], [0x1000], [4096], 0)


def test_tables_that_are_not_in_the_image() -> None:
    memory = table({0x1000: 0x4000_0003, 0x1008: 0x2003, 0x2000: 0x4000_0003 | 0x80})
    root = np.array([0x1000], np.uint64)
    pa, found = pagetable.translate(memory, X86Format(4), root, np.array([0, 1 << 39], np.uint64))
    assert (found.tolist(), int(pa[1])) == ([False, True], 0x4000_0000)
    every = pagetable.mappings(memory, X86Format(4), root, 0, 1 << 47)
    assert (every.unread, every.size.tolist()) == (1, [1 << 30])


@pytest.mark.parametrize(
    ("addresses", "sizes", "runs"),
    [
        ([], [], []),
        ([0x1000, 0x2000, 0x4000], [0x1000, 0x1000, 0x1000], [(0x1000, 0x2000), (0x4000, 0x1000)]),
        ([0x200000, 0x400000], [0x200000, 0x1000], [(0x200000, 0x201000)]),
    ],
)
def test_runs(addresses: list[int], sizes: list[int], runs: list[tuple[int, int]]) -> None:
    assert list(pagetable.chunks(np.array(addresses, np.uint64), np.array(sizes, np.uint64))) == runs


@pytest.mark.parametrize("name", IMAGES)
def test_tables_are_those_that_the_leaves_hang_in(name: str) -> None:
    """The table of the last level of every 4 KiB page of a process is among them, once; so is the root."""
    kernel = kernel_of(name)
    space = kernel.space
    task = np.array([kernel.anchors.init_task], np.uint64)
    first = kernel.container(kernel.pointer(task, "task_struct", "tasks.next"), "task_struct", "tasks")
    roots = mm.page_roots(kernel, kernel.pointer(first, "task_struct", "mm"))
    owner, table = pagetable.tables(space.memory, space.fmt, roots, 0, space.user_limit)
    assert owner.tolist() == [0] * len(table) == [0] * len(np.unique(table))
    assert int(table[0]) == int(space.fmt.root(roots)[0])
    maps = space.user_mappings(roots)
    small = maps.size == 4096
    entry, ok = space.memory.gather_words(table, 512)
    words = np.concatenate([row for row, fine in zip(entry, ok, strict=True) if fine])
    assert np.isin(maps.entry[small], words).all() and small.sum() > 10
    regions = np.unique(maps.va[small] >> np.uint64(21))
    upper = sum(len(np.unique(maps.va[small] >> np.uint64(12 + 9 * level))) for level in range(1, space.fmt.levels))
    assert len(regions) < len(table) <= upper + 1 + 8  # tables that map nothing any more stay


def test_a_table_that_names_itself() -> None:
    """512 entries of one page, at every level: read a few times and counted, not 512**3 times."""
    table = (5 << 12 | 7).to_bytes(8, "little") * 512

    def read(pa: int, size: int) -> bytes:
        whole = bytes(5 << 12) + table + bytes(58 << 12)
        return whole[pa : pa + size]

    memory = PhysicalMemory.from_reader([Range(0, 64 << 12)], read, "a table", "raw")
    root = np.array([5 << 12], np.uint64)
    maps = pagetable.mappings(memory, X86Format(4), root, 0, 1 << 47)
    assert (len(maps.va), set(maps.pa.tolist()), set(maps.size.tolist())) == (8 * 512, {5 << 12}, {4096})
    assert maps.unread == (256 - 8) + 2 * (8 * 512 - 8)
    assert (maps.va[0], len(np.unique(maps.va))) == (0, 8 * 512)
    owner, tables = pagetable.tables(memory, X86Format(4), root, 0, 1 << 47)
    assert (len(tables), set(tables.tolist()), set(owner.tolist())) == (1 + 3 * 8, {5 << 12}, {0})
