# SPDX-License-Identifier: Apache-2.0
"""The list of a tar's files against tarfile and hashlib, and tars that no collector of memir's writes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from memir.collect.node.frames import Frames
from memir.collect.node.layer import Layer, plain
from memir.evidence.layer_list import LayerList, kind_of, list_of, own_name
from tests.collect.streams import items


def listed(data: bytes, kind: Any = "upper", step: int = 1 << 20) -> tuple[list[dict[str, Any]], LayerList]:
    lines: list[bytes] = []
    made = LayerList(kind, lines.append)
    for start in range(0, len(data), step):
        made.feed(data[start : start + step])
    made.finish()
    return [json.loads(line) for line in lines], made


def tree(top: Path) -> bytes:
    """A folder with every kind of file, as the collector packs it."""
    (top / "a/.wh.mine").mkdir(parents=True)
    (top / "a/.wh.mine/%2Ewh.x").write_bytes(b"own name")
    (top / "a/long-").with_name("n" * 200).write_bytes(b"x" * 1500)
    (top / os.fsdecode(b"\xff\xfe")).write_bytes(b"not utf-8")
    os.link(top / "a" / ("n" * 200), top / "twin")
    os.mkfifo(top / "pipe")
    os.mknod(top / "null", 0o20666, os.makedev(1, 3))
    os.mknod(top / "a/gone", 0o20000, os.makedev(0, 0))
    (top / "link").symlink_to("/etc/shadow")
    (top / "empty").touch()
    os.setxattr(top / "empty", "trusted.note", b"v")
    os.setxattr(top / "a", "trusted.overlay.opaque", b"y")
    os.utime(top / "empty", ns=(10**18, 1_234_567_890_500_000_000))
    out = io.BytesIO()
    frames = Frames(out)
    Layer(frames, True).write(str(top), "node/containers/c/upper.tar")
    frames.end({})
    return items(out.getvalue())[0]["node/containers/c/upper.tar"][0]


@pytest.mark.parametrize("step", [1 << 20, 7, 512, 1013])
def test_every_kind_of_file(tmp_path: Path, step: int) -> None:
    data = tree(tmp_path)
    (first, *rows), made = listed(data, step=step)
    assert (first, made.problem, made.read) == ({"layer": "upper", "version": 1}, "", len(data))
    assert made.counts == {"files": 10, "whiteouts": 1, "opaque": 1}
    by = {(row["path"], row["type"]): row for row in rows}
    assert {kind for _, kind in by} == {
        "file", "hardlink", "symlink", "char", "directory", "fifo", "whiteout", "opaque",
    }  # fmt: skip
    assert by["/a", "opaque"] == {"path": "/a", "type": "opaque"}
    assert by["/a/gone", "whiteout"] == {"path": "/a/gone", "type": "whiteout"}
    assert by["/a/.wh.mine/%2Ewh.x", "file"]["sha256"] == hashlib.sha256(b"own name").hexdigest()
    long = by["/a/" + "n" * 200, "file"]
    facts = (tmp_path / "twin").stat()
    assert (long["size"], long["mode"], long["uid"]) == (1500, f"{facts.st_mode & 0o7777:04o}", facts.st_uid)
    assert long["mtime"] == pytest.approx(facts.st_mtime, abs=1e-6)
    assert long["origin"] == "none"
    assert by["/twin", "hardlink"]["target"] == long["path"]
    assert by["/link", "symlink"]["target"] == "/etc/shadow"
    assert by["/null", "char"]["device"] == "1:3"
    assert by["/empty", "file"] | {"atime": 0, "ctime": 0} == {
        "path": "/empty", "type": "file", "size": 0, "mode": "0644", "uid": 0, "gid": 0, "mtime": 1_234_567_890.5,
        "atime": 0, "ctime": 0, "attributes": ["trusted.note"], "origin": "none",
        "sha256": hashlib.sha256().hexdigest(),
    }  # fmt: skip
    assert ("/\udcff\udcfe", "file") in by
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        for member in tar.getmembers():
            if member.isreg() and ".wh." not in member.name.rpartition("/")[2][:4]:
                content = tar.extractfile(member).read()  # type: ignore[union-attr]
                path = "/" + "/".join(map(own_name, member.name.split("/")))
                assert by[path, "file"]["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", [".wh.a", "%2Ewh.a", "%252Ewh.a", "%25252Ewh.", "a.wh.b", ".wh", "%2Ewh", "%25"])
def test_names_come_back(name: str) -> None:
    packed = plain(name)
    assert not packed.startswith(".wh.")
    assert own_name(packed) == name


def test_which_files_have_a_list() -> None:
    assert [kind_of(f"node/containers/c/{name}") for name in ("upper.tar", "rootfs.tar", "upper.tar~2", "x")] == [
        "upper", "rootfs", None, None,
    ]  # fmt: skip
    assert list_of("node/containers/c/upper.tar") == "node/containers/c/upper.files.jsonl"


def test_a_root_file_system_has_its_names_as_they_are() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo(".wh.x"))
        twin = tarfile.TarInfo("twin")
        twin.type, twin.linkname = tarfile.LNKTYPE, ".wh.x"
        tar.addfile(twin)
    (_, one, two), made = listed(out.getvalue(), "rootfs")
    assert (one["path"], one["type"], two["target"], made.problem) == ("/.wh.x", "file", "/.wh.x", "")


def pax(record: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, len(record)
    return info.tobuf() + record + bytes(-len(record) % 512)


FILE = tarfile.TarInfo("f").tobuf()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"), (b"x" * 600, "no header of a tar"), (FILE, "it ends in the middle"),
        (FILE + bytes(512), "it ends in the middle"), (FILE + bytes(1024) + b"x" * 512, "bytes behind its end"),
        (pax(b""), "an extended header of 0 bytes"), (pax(b"9 a=b\n"), "an extended header that is none"),
        (pax(b"12 mtime=nan\n") + FILE, "an extended header that is none"),
        (pax(b"13 mtime=nan\n") + FILE, "makes no sense: a time of nan"),
        (pax(b"11 size=-1\n") + FILE, "makes no sense: a size of -1"), (pax(b"10 uid=x_\n") + FILE, "makes no sense"),
        (pax(b"1 x", tarfile.GNUTYPE_LONGNAME), "an entry of the type b'L'"),
        (pax(b"22 size=9999999999999999\n")[:900], "it ends in the middle"),
    ],
)  # fmt: skip
def test_tars_that_are_none(data: bytes, words: str) -> None:
    for step in (1 << 20, 100):
        rows, made = listed(data, step=step)
        assert words in made.problem, made.problem
        assert rows[0]["layer"] == "upper"


def test_a_header_that_is_too_long_is_not_read() -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    _, made = listed(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    assert made.problem == "an extended header of 1,099,511,627,776 bytes (at byte 512)"
