# SPDX-License-Identifier: Apache-2.0
"""A mapping that is read does not stay in memory as a whole, and still reads the same."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from memir.image.resident import Resident

SIZE, LIMIT = 32 << 20, 8 << 20


def mapped(path: Path) -> int:
    """KiB of a file that are in this process's page table (/proc/self/smaps)."""
    text = Path("/proc/self/smaps").read_text()
    return sum(int(part.partition("Rss:")[2].split()[0]) for part in text.split(f"{path}\n")[1:])


def test_what_was_read_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(bytes(range(256)) * (SIZE >> 8))
    with path.open("rb") as file:
        area = mmap.mmap(file.fileno(), SIZE, prot=mmap.PROT_READ)
    data = np.frombuffer(area, np.uint8)
    resident, most = Resident(data, LIMIT), 0
    for at in range(0, SIZE, 1 << 20):
        assert int(data[at : at + (1 << 20)].sum()) == 255 * 128 << 12
        most = max(most, mapped(path))
        resident.touch(1 << 20)
    assert 0 < most <= (LIMIT >> 10) + 2048
    assert data[5] == 5  # it comes back


def test_memory_that_is_no_file_is_kept() -> None:
    data = np.full(SIZE, 3, np.uint8)
    Resident(data, LIMIT).touch(SIZE)
    assert (data == 3).all()
    area = np.frombuffer(bytearray(b"\x05" * SIZE), np.uint8)
    Resident(area, LIMIT).touch(SIZE)
    assert (area == 5).all()


def test_a_small_mapping_stays(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"\x01" * (4 << 20))
    with path.open("rb") as file:
        area = mmap.mmap(file.fileno(), 4 << 20, prot=mmap.PROT_READ)
    data = np.frombuffer(area, np.uint8)
    resident = Resident(data, LIMIT)
    assert int(data.sum()) == 4 << 20
    resident.touch(LIMIT * 2)
    assert mapped(path) == 4 << 10
