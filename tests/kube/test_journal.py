# SPDX-License-Identifier: Apache-2.0
"""Journals that systemd wrote, read as journalctl reads them; with holes, and with bytes changed.

journal/*.journal.zst: systemd-journal-remote 252, both layouts; journalctl.json.gz: `journalctl --file -o json --all`.
"""

from __future__ import annotations

import functools
import gzip
import json
import lzma
import random
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.block  # type: ignore[import-untyped]  # the package has no types
import pytest
import zstandard

from memir.kube.cached_file import CachedFile
from memir.kube.journal import is_journal, read_journal, unpack
from memir.kube.log_files import content, log_files
from memir.kube.ram import RamSource
from tests.fuzz import cases, mutations

HERE = Path(__file__).parent / "journal"
PAGE = 4096
LAYOUTS = ("compact", "regular")


@functools.cache
def journal(name: str) -> bytes:
    packed = (HERE / f"{name}.journal.zst").read_bytes()
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=16 << 20)


@functools.cache
def expected() -> list[tuple[int, str | None, int | None]]:
    """(time, message, priority) of journalctl's lines."""
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in gzip.decompress((HERE / "journalctl.json.gz").read_bytes()).splitlines()
    ]
    texts = [
        bytes(line["MESSAGE"]).decode("utf-8", "backslashreplace")
        if isinstance(line["MESSAGE"], list)
        else line["MESSAGE"]
        for line in lines
    ]
    return [
        (int(line["__REALTIME_TIMESTAMP"]), text, int(line["PRIORITY"]))
        for line, text in zip(lines, texts, strict=True)
    ]


def file_of(data: bytes, holes: set[int] | None = None) -> CachedFile:
    pages = [data[start : start + PAGE] for start in range(0, len(data), PAGE)]
    return CachedFile([None if number in (holes or ()) else page for number, page in enumerate(pages)])


def rows(data: bytes, holes: set[int] | None = None) -> list[tuple[int | None, str | None, int | None]]:
    return [(line.time, line.text, line.level) for line in read_journal(file_of(data, holes)).lines]


@pytest.mark.parametrize("name", LAYOUTS)
def test_as_journalctl_reads_it(name: str) -> None:
    read = read_journal(file_of(journal(name)))
    assert [(line.time, line.text, line.level) for line in read.lines] == expected()
    assert (read.stated, read.holes) == (152, {})
    line = read.lines[8]
    assert (line.sequence, line.facility, line.monotonic) == (9, 3, 8_000_024_000)
    assert (line.boot_id, line.cgroup) == ("0123456789abcdef" * 2, "/system.slice/demo.service")
    assert set(line.fields) == {
        "_BOOT_ID=0123456789abcdef0123456789abcdef", "SYSLOG_IDENTIFIER=demo", "_PID=101",
        "_SYSTEMD_UNIT=demo.service", "_SYSTEMD_CGROUP=/system.slice/demo.service",
    }  # fmt: skip
    assert is_journal(file_of(journal(name))) and not is_journal(file_of(b"x" * PAGE))


@pytest.mark.parametrize("name", LAYOUTS)
def test_holes_take_lines_away_and_change_none(name: str) -> None:
    data, known = journal(name), {time: (text, level) for time, text, level in expected()}
    last = max(number for number in range(len(data) // PAGE) if any(data[number * PAGE : number * PAGE + PAGE]))
    begin = struct.unpack_from("<Q", data, 104)[0] // PAGE
    counts = set()
    for seed in range(40):
        chosen = random.Random(seed)
        holes = {number for number in range(begin, last + 1) if chosen.random() < 0.3}
        read = read_journal(file_of(data, holes))
        for line in read.lines:
            assert line.time in known
            assert (line.text, line.level) in (
                known[line.time],
                (None, known[line.time][1]),
                (known[line.time][0], None),
                (None, None),
            )
        assert holes == set() or read.holes["pages that are not in the page cache"] > 0
        counts.add(len(read.lines))
    assert max(counts) > 100
    assert read_journal(file_of(data, {0})).holes == {"no header: its first page is not in the page cache": 1}


@pytest.mark.parametrize("kind", [1, 2, 4])
def test_compressed_fields(kind: int) -> None:
    """systemd 252 chooses zstd; a field that was written by an older one, with xz or lz4, in its place."""
    data = bytearray(journal("compact"))
    text = expected()[150][1]
    payload = b"MESSAGE=" + (text or "").encode()
    packed = {
        1: lzma.compress(payload, lzma.FORMAT_XZ, check=lzma.CHECK_NONE),
        2: len(payload).to_bytes(8, "little") + lz4.block.compress(payload, store_size=False),
        4: zstandard.ZstdCompressor().compress(payload),
    }[kind]
    assert unpack(packed, kind) == payload
    place = data.find(b"\x28\xb5\x2f\xfd") - 72  # the one field that was long enough
    size = struct.unpack_from("<Q", data, place + 8)[0]
    assert (data[place], data[place + 1]) == (1, 4)
    room = (size + 7) // 8 * 8
    if len(packed) + 72 <= room:
        data[place : place + room] = data[place : place + 72] + packed + bytes(room - 72 - len(packed))
        data[place + 1] = kind
        struct.pack_into("<Q", data, place + 8, 72 + len(packed))
        assert text in [line.text for line in read_journal(file_of(bytes(data))).lines]


def test_bombs_are_bounded() -> None:
    bomb = b"MESSAGE=" + bytes(64 << 20)
    assert len(unpack(lzma.compress(bomb), 1) or b"") <= 1 << 20
    assert len(unpack(zstandard.ZstdCompressor().compress(bomb), 4) or b"") <= 1 << 20
    assert unpack(len(bomb).to_bytes(8, "little") + lz4.block.compress(bomb, store_size=False), 2) is None
    for kind in (1, 2, 4, 8):
        assert unpack(b"garbage that is none", kind) is None


def test_a_message_that_looks_like_an_entry_is_none() -> None:
    """Behind a hole nothing is entered that no object points at."""
    data = bytearray(journal("compact"))
    text = data.find(b"MESSAGE=two") if b"MESSAGE=two" in data else data.find(b"MESSAGE=message 149")
    forged = struct.pack("<BB6xQQQQ16sQI", 3, 0, 68, 9999, 1_800_000_000_000_000, 1, b"x" * 16, 0, 264)
    data[text + 8 : text + 8 + len(forged)] = forged
    times = {time for time, _, _ in expected()}
    before = text // PAGE
    for holes in (set[int](), {before - 1}, {before - 2, before - 1}):
        assert {time for time, _, _ in rows(bytes(data), holes)} <= times


@pytest.mark.parametrize("name", LAYOUTS)
def test_hostile_bytes(name: str) -> None:
    """Any bytes are read to an end, quickly, and give lines or holes."""
    data = journal(name)
    tail = struct.unpack_from("<Q", data, 136)[0] + PAGE
    begin = struct.unpack_from("<Q", data, 104)[0] + struct.unpack_from("<Q", data, 112)[0]
    head, body = data[:272], data[tail - 3 * PAGE : tail]
    for mutated in mutations([head], cases(60, 1500)):
        read = read_journal(file_of((mutated.ljust(272, b"\0") + data[272:tail])[:tail]))
        assert len(read.lines) <= 152
    for mutated in mutations([body], cases(60, 1500), seed=2):
        read = read_journal(file_of(data[: tail - 3 * PAGE] + mutated))
        assert len(read.lines) <= 153
    assert begin < tail


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="systemd's own reader is not installed")
def test_a_nodes_journal_as_journalctl_reads_it(
    image: str, node_of: Callable[[str], RamSource], tmp_path: Path
) -> None:
    """The pages that memory has, zeros for the others: the same entries, both ways, with their fields."""
    if not image.startswith("node-"):
        return
    node = node_of(image)
    (about,) = log_files(node, re.compile(rb"(?<=\0)system\.journal(?=\0)"))
    file = content(node, about)
    path = tmp_path / "system.journal"
    path.write_bytes(b"".join(page or bytes(PAGE) for page in file.pages)[: file.size])
    command = ["journalctl", "--file", str(path), "-o", "json", "--all"]
    told = [json.loads(line) for line in subprocess.run(command, capture_output=True, check=True).stdout.splitlines()]
    shown = {
        int(line["__CURSOR"].partition("i=")[2].partition(";")[0], 16): (
            int(line["__REALTIME_TIMESTAMP"]),
            line.get("MESSAGE"),
            line.get("PRIORITY"),
            {name for name in line if not name.startswith("__")} - {"MESSAGE", "PRIORITY", "SYSLOG_FACILITY"},
        )
        for line in told
    }
    lines = {
        line.sequence: (
            line.time,
            line.text,
            None if line.level is None else str(line.level),
            {field.partition("=")[0] for field in line.fields},
        )
        for line in read_journal(file).lines
    }
    assert lines == shown and len(lines) == 1309
