# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from memir.image.layout import Range
from memir.image.memory import PhysicalMemory
from memir.image.open import open_image
from memir.image.write import BLOCK, write_avml
from memir.kernel import ram
from memir.kernel.engine import Kernel
from tests.image.files import lime
from tests.kernel.accounts import ARM, X86, X86_RAM, kernel, put, raw

TOTAL = sum(end - start for start, end in X86_RAM)


def again(memory: PhysicalMemory, name: str = X86) -> ram.Coverage:
    return ram.coverage(Kernel(memory, kernel(name).anchors))


@pytest.mark.parametrize("name", [X86, ARM])
def test_a_whole_image(name: str) -> None:
    found = ram.coverage(kernel(name))
    assert (found.whole, found.share, found.missing, found.account) == (True, 1.0, (), "iomem_resource")
    assert found.text().startswith("100.0 % of the node's RAM is in the image")
    assert found.witnesses["zones"] <= found.total
    assert found.facts()["ram_share"] == 1.0


def test_a_cut_raw_file(tmp_path: Path) -> None:
    with open_image(put(tmp_path, raw(X86)[:0xB80_0000])) as memory:
        found = again(memory)
        lost = X86_RAM[1][1] - 0xB80_0000
        assert (found.total, found.present) == (TOTAL, TOTAL - lost)
        assert found.missing == (Range(0xB80_0000, lost),)
        assert not found.whole
        assert found.text().startswith(f"{100 * (TOTAL - lost) / TOTAL:.1f} % of the node's RAM")
        assert found.facts()["ram_missing"] == [{"start": 0xB80_0000, "size": lost}]


def test_a_single_missing_byte_is_never_100_percent() -> None:
    found = ram.Coverage(1 << 40, (1 << 40) - 1, (), "iomem_resource", {})
    assert (found.whole, found.text()[:4]) == (False, "99.9")


def test_edges_of_less_than_a_page_are_present(tmp_path: Path) -> None:
    parts = [(0x1000, raw(X86)[0x1000:0x9F000]), (0x100000, raw(X86)[0x100000 : X86_RAM[1][1]])]
    with open_image(put(tmp_path, lime(parts))) as memory:
        assert again(memory).whole
    parts[0] = (0x1000, raw(X86)[0x1000:0x9E000])
    with open_image(put(tmp_path, lime(parts))) as memory:
        assert again(memory).missing == (Range(0x9E000, 0x1C00),)


def test_blocks_of_zeros_that_avml_leaves_out_are_present_and_a_lost_block_is_not(tmp_path: Path) -> None:
    write_avml(kernel(X86).memory, tmp_path / "whole")
    with open_image(tmp_path / "whole") as memory:
        assert memory.size < TOTAL
        assert again(memory).whole
    data = (tmp_path / "whole").read_bytes()
    last = data.rfind(b"AVML\x02\0\0\0")  # cut on a record's edge: the file itself looks complete
    with open_image(put(tmp_path, data[:last])) as memory:
        found = again(memory)
        assert memory.missing == 0
        assert not found.whole
        assert found.missing[-1] == Range(0xB00_0000, X86_RAM[1][1] - 0xB00_0000)


def test_what_headers_promise_and_the_file_lacks_counts(tmp_path: Path) -> None:
    data = lime([(0x1000, raw(X86)[0x1000:0x9FC00]), (0x100000, raw(X86)[0x100000 : X86_RAM[1][1]])])
    with open_image(put(tmp_path, data[:-5000]), allow_truncated=True) as memory:
        found = again(memory)
        assert memory.missing == 5000
        assert found.total - found.present == 5000


def test_subtract() -> None:
    parts = [Range(0, 10), Range(20, 10), Range(40, 10)]
    assert ram.subtract(parts, []) == parts
    assert ram.subtract(parts, [Range(0, 100)]) == []
    assert ram.subtract(parts, [Range(2, 3), Range(25, 20)]) == [
        Range(0, 2), Range(5, 5), Range(20, 5), Range(45, 5)
    ]  # fmt: skip
    assert ram.present_ranges(kernel(X86)) == list(kernel(X86).memory.ranges)


def test_the_grid_is_avmls() -> None:
    assert BLOCK == 16 << 20
    assert ram.account(kernel(X86)) == ("iomem_resource", [Range(start, end - start) for start, end in X86_RAM])
