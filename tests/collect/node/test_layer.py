# SPDX-License-Identifier: Apache-2.0
"""A real overlay's writable layer as OCI's tar, and what goes wrong while it is read."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
from pathlib import Path
from typing import Any

import pytest

from memir.collect.node import layer
from memir.collect.node.frames import Frames
from memir.collect.node.layer import HIDES, ORIGIN, Exactly, Layer, attributes, plain
from tests.collect.podrig import SNAPSHOTS, TASKS, PodRig
from tests.collect.streams import items


def packed(
    path: Path | str, *, whiteouts: bool = True, lower: list[str] | None = None
) -> tuple[tarfile.TarFile, dict[str, object], dict[str, object]]:
    out = io.BytesIO()
    frames = Frames(out)
    Layer(frames, whiteouts, lower).write(str(path), "node/layer.tar", {"witness": "x"})
    frames.end({})
    files, end = items(out.getvalue())
    data, trailer = files["node/layer.tar"]
    return tarfile.open(fileobj=io.BytesIO(data)), trailer, end


def test_the_layer_of_a_real_overlay(pod: PodRig) -> None:
    tar, trailer, end = packed(f"{pod.root}{SNAPSHOTS}/2/fs", lower=[f"{pod.root}{SNAPSHOTS}/1/fs"])
    names = {"etc", "etc/changed", "etc/.wh.gone", "made.txt", "srv", "srv/link", "srv/old", "srv/old/.wh..wh..opq",
             "srv/old/new", "tmp"}  # fmt: skip
    assert set(tar.getnames()) == names
    assert tar.extractfile("etc/changed").read() == b"changed\n"  # type: ignore[union-attr]
    assert (tar.getmember("srv/link").type, tar.getmember("srv/link").linkname) == (tarfile.SYMTYPE, "/etc/shadow")
    assert tar.getmember("tmp").mode == 0o1777
    assert float(tar.getmember("made.txt").pax_headers["ctime"]) > 1.7e9
    origin = {name: tar.getmember(name).pax_headers.get(ORIGIN) for name in names}
    assert {name for name, word in origin.items() if word == "image"} == {"etc", "etc/changed", "srv", "tmp"}
    made = {"made.txt", "srv/link", "srv/old", "srv/old/new"}
    assert {name for name, word in origin.items() if word == "none"} == made
    assert tar.getmember("srv/old/.wh..wh..opq").pax_headers == {HIDES: "image"}
    facts = trailer["facts"]
    assert isinstance(facts, dict)
    assert {key: facts[key] for key in ("files", "whiteouts", "opaque", "unread", "changed")} == {
        "files": 8, "whiteouts": 1, "opaque": 1, "unread": 0, "changed": 0,
    }  # fmt: skip
    assert end["gaps"] == []


def test_kinds_of_files_and_names_that_look_like_whiteouts(tmp_path: Path) -> None:
    (tmp_path / ".wh.mine").write_bytes(b"own")
    (tmp_path / "twin").write_bytes(b"x" * 5000)
    os.link(tmp_path / "twin", tmp_path / "twin2")
    os.mkfifo(tmp_path / "pipe")
    os.mknod(tmp_path / "null", 0o20666, os.makedev(1, 3))
    os.setxattr(tmp_path / "twin", "trusted.note", b"\xffhi")
    (tmp_path / "white").touch()
    os.setxattr(tmp_path / "white", "trusted.overlay.whiteout", b"y")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    server.close()
    tar, _, end = packed(tmp_path)
    assert sorted(tar.getnames()) == ["%2Ewh.mine", ".wh.white", "null", "pipe", "twin", "twin2"]
    assert (tar.getmember("twin2").type, tar.getmember("twin2").linkname) == (tarfile.LNKTYPE, "twin")
    assert (tar.getmember("null").devmajor, tar.getmember("null").devminor) == (1, 3)
    assert tar.getmember("twin").pax_headers["SCHILY.xattr.trusted.note"] == "\udcffhi"
    assert [gap["kind"] for gap in end["gaps"]] == ["socket in a file system"]  # type: ignore[attr-defined]
    plainly, _, _ = packed(tmp_path, whiteouts=False)
    assert {".wh.mine", "white"} <= set(plainly.getnames())
    assert plain("a/.wh.b/c") == "a/%2Ewh.b/c"
    descriptor = os.open(tmp_path / "twin", os.O_RDONLY)
    known, left = attributes(descriptor, tarfile.TarInfo("twin"))
    os.close(descriptor)
    assert known is not None
    assert ("trusted.note" in known, left) == (True, 0)


def test_more_attributes_than_a_header_may_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of the tar's files must not end at a file that somebody gave too many."""
    monkeypatch.setattr(layer, "MAX_ATTRIBUTES", 99)
    (tmp_path / "loaded").touch()
    for number in range(3):
        os.setxattr(tmp_path / "loaded", f"trusted.n{number}", b"x" * 40)
    tar, _, end = packed(tmp_path)
    headers = tar.getmember("loaded").pax_headers
    assert sorted(name for name in headers if name.startswith("SCHILY")) == ["SCHILY.xattr.trusted.n0"]
    gaps: Any = end["gaps"]
    assert [(gap["kind"], gap["count"], gap["missing"]) for gap in gaps] == [("attribute", 2, False)]


def test_another_file_system_and_a_folder_that_is_none(tmp_path: Path, pod: PodRig) -> None:
    tar, _, _ = packed(pod.root / TASKS[1:], whiteouts=False)
    assert f"{pod.container}/config.json" in tar.getnames()
    root = f"{pod.container}/rootfs"
    assert [name for name in tar.getnames() if name.startswith(root)] == [root], "what is mounted there is not entered"
    out = io.BytesIO()
    frames = Frames(out)
    Layer(frames, True).write(str(tmp_path / "none"), "node/layer.tar")
    frames.end({})
    files, end = items(out.getvalue())
    assert (files, end["gaps"][0]["missing"]) == ({}, True)


@pytest.mark.parametrize("size", [0, 3, 10, 3_000_000])
def test_a_file_that_shrinks_is_filled(size: int) -> None:
    short = Exactly(io.BytesIO(b"abcde"), size)
    data = b""
    while more := short.read(1 << 20):
        data += more
    assert data == b"abcde"[:size].ljust(size, b"\0")
    assert short.filled == max(0, size - 5)
    assert hashlib.sha256(data).digest()
    assert short.why == ("became shorter: filled with zeros" if size > 5 else "")
