# SPDX-License-Identifier: Apache-2.0
"""Images that lack RAM, and raw files whose offsets are not addresses: each tool's kind, made of a sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import KernelNotFoundError
from memir.gaps import Gaps
from memir.image.open import open_image
from memir.kernel import ram, sched
from memir.kernel.find import find_kernel
from tests.image.files import noise
from tests.kernel.accounts import ARM, HOLE, X86, X86_RAM, kernel, put, raw, with_hole

END = X86_RAM[1][1]


def joined(first_end: int, end: int) -> bytes:
    return raw(X86)[0x1000:first_end] + raw(X86)[0x100000:end]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("joined, exact", "the ranges of RAM stand in it one after the other"),
        ("joined, pages", "the ranges of RAM stand in it one after the other"),
        ("joined, header", "one after the other, 4096 bytes in"),
        ("header", "RAM begins 512 bytes in"),
        ("odd header", "RAM begins 7777 bytes in"),
        ("QEMU's ELF ranges joined", "the holes between the ranges of RAM are left out of it"),
    ],
)
def test_a_layout_is_found_and_said(kind: str, words: str, tmp_path: Path) -> None:
    data = {
        "joined, exact": lambda: joined(0x9FC00, END),
        "joined, pages": lambda: joined(0x9F000, len(raw(X86))),
        "joined, header": lambda: bytes(4096) + joined(0x9FC00, END),
        "header": lambda: noise(512) + raw(X86),
        "odd header": lambda: noise(7777) + raw(X86),
        "QEMU's ELF ranges joined": lambda: raw(X86)[:0xA0000] + raw(X86)[0xC0000:],
    }[kind]()
    gaps = Gaps()
    with open_image(put(tmp_path, data)) as memory:
        found = find_kernel(memory, gaps=gaps)
        assert words in found.memory.repairs[0]
        assert [gap.why for gap in gaps if gap.kind == "image"] == list(found.memory.repairs)
        assert ram.coverage(found).whole
        assert sched.tasks(found).pid.tolist() == sched.tasks(kernel(X86)).pid.tolist()
        low = X86_RAM[0][0]
        assert found.memory.read(low, 4096) == raw(X86)[low : low + 4096]
        assert found.memory.read(END - 4096, 4096) == raw(X86)[END - 4096 : END]


def test_a_hole_that_is_left_out_is_found_by_the_task_list(tmp_path: Path) -> None:
    """As memory-backend files and .vmem are: the kernel lies above the hole, the processes below it, or both."""
    data = with_hole()
    squeezed = data[: HOLE[0]] + data[HOLE[1] :]
    with open_image(put(tmp_path, squeezed)) as memory:
        found = find_kernel(memory)
        assert "holes between the ranges of RAM are left out" in found.memory.repairs[0]
        assert ram.coverage(found).whole
        assert [(part.start, part.end) for part in found.memory.ranges][-1] == (HOLE[1], END)
        assert sched.tasks(found).pid.tolist() == sched.tasks(kernel(X86)).pid.tolist()
        for pa in (0x200000, HOLE[0] - 4096, HOLE[1], END - 4096):
            assert found.memory.read(pa, 4096) == data[pa : pa + 4096]
    with open_image(put(tmp_path, data)) as memory:
        assert find_kernel(memory).memory is memory


def test_a_raw_file_of_an_arm64_machine_tells_its_base(tmp_path: Path) -> None:
    with open_image(put(tmp_path, raw(ARM))) as memory:
        found = find_kernel(memory)
        assert found.memory.ranges[0].start == 0x4000_0000
        assert "its first byte has the address 0x40000000" in found.memory.repairs[0]
        assert len(sched.tasks(found)) == len(sched.tasks(kernel(ARM)))


def test_a_cut_file_is_a_gap_and_stays_as_it_is(tmp_path: Path) -> None:
    gaps = Gaps()
    with open_image(put(tmp_path, raw(X86)[:0xB80_0000])) as memory:
        found = find_kernel(memory, gaps=gaps)
        assert found.memory is memory
        assert [(gap.where, gap.count) for gap in gaps if gap.kind == ram.GAP] == [("from 0xb800000", END - 0xB80_0000)]


def test_no_kernel_is_the_plain_error(tmp_path: Path) -> None:
    with open_image(put(tmp_path, noise(2 << 20))) as memory, pytest.raises(KernelNotFoundError, match="VMCOREINFO"):
        find_kernel(memory)
