# SPDX-License-Identifier: Apache-2.0
"""The memory of a process that we know, as an ELF core that is read back."""

from __future__ import annotations

import ctypes
import io
import mmap
import os
import struct
import subprocess
import sys
from pathlib import Path

from memir.collect.node.core import Region, headers, notes_of, regions, runs, write_core
from memir.collect.node.frames import Frames
from tests.collect.podrig import HEAP, PASSWORD, PodRig
from tests.collect.streams import items

PAGE = mmap.PAGESIZE


def segments(data: bytes) -> list[tuple[int, int, int]]:
    """(virtual address, offset in the file, size) of each PT_LOAD."""
    place, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    rows = [struct.unpack_from("<IIQQQQQQ", data, place + 56 * number) for number in range(count)]
    return [(row[3], row[2], row[5]) for row in rows if row[0] == 1]


def test_the_containers_shell(pod: PodRig) -> None:
    out = io.BytesIO()
    frames = Frames(out)
    write_core(frames, pod.pid, "clear/memory/1.core")
    frames.end({})
    files, end = items(out.getvalue())
    data, trailer = files["clear/memory/1.core"]
    assert (end["gaps"], trailer["error"], trailer["facts"]["bytes_gone"]) == ([], "", 0)
    assert data[:4] == b"\x7fELF"
    assert HEAP in data
    assert PASSWORD.encode() in data
    loads = segments(data)
    assert sum(size for _, _, size in loads) == trailer["facts"]["bytes"]
    assert loads[-1][1] + loads[-1][2] == len(data)
    with Path(f"/proc/{pod.pid}/mem").open("rb") as memory:
        stack = next(region for region in regions(pod.pid)[0] if region.name == "[stack]")
        for address, offset, size in loads:
            if stack.start <= address < stack.end:
                memory.seek(address)
                assert data[offset : offset + size] == memory.read(size)
    assert b"/bin/sh -c" in notes_of(pod.pid, regions(pod.pid)[0])


def test_pages_that_were_never_touched_are_not_made(pod: PodRig) -> None:
    area = mmap.mmap(-1, 64 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for page in (3, 4, 40):
        area[page * PAGE] = 1
    mine = Region(address, address + 64 * PAGE, 6, 0, "")
    expected = [(address + 3 * PAGE, address + 5 * PAGE), (address + 40 * PAGE, address + 41 * PAGE)]
    assert list(runs(os.getpid(), mine, PAGE)) == expected
    assert any(region.start <= address < region.end for region in regions(os.getpid())[0])


def test_more_segments_than_a_header_counts() -> None:
    many = headers(62, b"", [(PAGE * number, 0, 4) for number in range(0x10000)])
    assert struct.unpack_from("<H", many, 56)[0] == 0xFFFF
    section = struct.unpack_from("<Q", many, 40)[0]
    assert struct.unpack_from("<I", many, section + 44)[0] == 0x10001  # sh_info: elf(5), PN_XNUM


def test_a_process_that_ended_is_a_gap_and_readelf_reads_a_core() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    out = io.BytesIO()
    frames = Frames(out)
    write_core(frames, ended.pid, "clear/memory/2.core")
    frames.end({})
    files, end = items(out.getvalue())
    assert files == {}
    assert [(gap["why"], gap["missing"]) for gap in end["gaps"]] == [("ended before its memory was read", False)]
