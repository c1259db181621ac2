# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import hashlib
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from memir.acquire import collect as module
from memir.acquire.collect import collect, read_lines, script
from memir.acquire.facts import NodeRun
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.local import LocalTransport
from memir.errors import NodeError, StorageError
from tests.fuzz import cases

CASES = cases(300)


def lines(*pairs: tuple[str, bytes]) -> bytes:
    return b"".join(name.encode() + b" " + base64.b64encode(data) + b"\n" for name, data in pairs)


def pieces(data: bytes, step: int) -> Iterator[bytes]:
    return (data[at : at + step] for at in range(0, len(data), step))


@pytest.mark.parametrize("step", [1, 5, 1 << 18])
def test_files_whatever_the_pieces(step: int) -> None:
    data = lines(("iomem", b"a\n"), ("btf/vmlinux", bytes(range(256))), ("empty", b""))
    assert list(read_lines(pieces(data, step))) == [("iomem", b"a\n"), ("btf/vmlinux", bytes(range(256)))]


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../../b", "a/b/c", "..", ".hidden", "a\\..\\b", "x" * 200, "a b", "é", ""]
)
def test_names_that_lead_out_are_passed_over(name: str) -> None:
    assert list(read_lines(iter([lines((name, b"x"), ("good", b"y"))]))) == [("good", b"y")]


def test_a_line_that_is_cut_or_not_base64_is_passed_over() -> None:
    assert list(read_lines(iter([lines(("good", b"y")) + b"bad !!!\nlast QUJD"]))) == [("good", b"y")]


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 1000)
    data = b"big " + b"QUJD" * 1000 + b"\n" + lines(("good", b"y"))
    assert list(read_lines(pieces(data, 100))) == [("good", b"y")]


def test_a_node_that_sends_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOTAL", 5000)
    with pytest.raises(NodeError, match="more than 5,000 bytes"):
        list(read_lines(iter([bytes(1000)] * 10)))


def test_hostile_bytes_never_raise() -> None:
    rng = random.Random(3)
    whole = lines(("iomem", b"abc"), ("btf/vmlinux", b"def"))
    for _ in range(CASES):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        for name, _content in read_lines(pieces(bytes(data), rng.randrange(1, 30))):
            assert ".." not in name
            assert not name.startswith("/")


def test_the_state_of_this_machine_before_a_run() -> None:
    before = script("before")
    assert before.helper == ("context", "before")
    done = subprocess.run(["/bin/sh", "-c", before], capture_output=True, check=False)
    files = dict(read_lines(iter([done.stdout])))
    assert {"before/date", "before/uptime", "before/mountinfo"} <= set(files)
    assert all(name.startswith("before/") for name in files)
    assert script("after").helper == ("context", "after")


def settled(mountinfo: str) -> list[str]:
    """Mounts but those of rigs, in temporary folders, which other tests make and take away meanwhile."""
    rigs = f"{tempfile.gettempdir()}/"
    return [line for line in mountinfo.splitlines() if not line.split(" ")[4].startswith(rigs)]


def test_the_files_of_this_machine_are_written_once(tmp_path: Path) -> None:
    """Where two phases name one file the first one's stays: what was written down is evidence."""
    run, sink = NodeRun("r", str(tmp_path / "run")), FileSink(tmp_path / "image")
    kept = collect(LocalTransport(), run, sink, "before", tmp_path / "context")
    here = Path("/proc/self/mountinfo").read_text()
    assert settled((tmp_path / "context/before/mountinfo").read_text()) == settled(here)
    for taken in kept:
        content = (tmp_path / "context" / taken.name).read_bytes()
        assert (taken.size, taken.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert collect(LocalTransport(), run, sink, "before", tmp_path / "context") == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "context").write_text("a file")
    run, sink = NodeRun("r", str(tmp_path / "run")), FileSink(tmp_path / "image")
    with pytest.raises(StorageError, match=f"cannot write {tmp_path}/context/before/"):
        collect(LocalTransport(), run, sink, "before", tmp_path / "context")
