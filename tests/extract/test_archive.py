# SPDX-License-Identifier: Apache-2.0
"""Tars as layers of OCI images: whiteouts, opaque directories, links and devices as entries; hostile nodes."""

from __future__ import annotations

import io
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memir.extract.archive import OPAQUE, WHITEOUT, Archives
from memir.extract.files import Wanted, extract_files
from memir.extract.output import MANIFEST, Output
from memir.kernel.engine import Kernel
from memir.kernel.filemap import Content
from memir.kube.ram import RamSource
from memir.node import Node
from memir.ram_node import RamNode
from tests.damage import damaged, patched

EMPTY = Content(np.zeros(0, np.int64), np.zeros(0, np.uint64), 0)


@pytest.fixture(scope="module")
def good(node_of: Any) -> RamSource:
    source: RamSource = node_of("s-6.1-small")
    return source


def row(kind: str, change: str | None = None, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "change": change, "mode": 0o644, "uid": 5, "gid": 6, "size": 0, "target": None, "rdev": 0,
            "mtime": datetime(2026, 11, 23, tzinfo=UTC), **more}  # fmt: skip


def test_entries(good: RamSource, tmp_path: Path) -> None:
    place = Output(tmp_path / "out")
    archives = Archives(place, good.kernel)
    rows = [
        (".", row("directory", "opaque")), ("etc/passwd", row("char", "whiteout")), ("etc", row("directory", "opaque")),
        ("gone", row("char", "whiteout")), ("link", row("symlink", target="../../../etc/shadow")),
        ("lost", row("symlink")), ("sda", row("block", rdev=(8 << 20) | 1)), ("pipe", row("fifo")),
        ("sock", row("socket")), ("empty", row("regular")),
        ("big", row("regular", size=1 << 62)),
    ]  # fmt: skip
    packed = [archives.add("a.tar", name, entry, EMPTY) for name, entry in rows]
    archives.close()
    assert [one.name for one in packed] == [
        ".", f"etc/{WHITEOUT}passwd", "etc", ".wh.gone", "link", None, "sda", "pipe", None, "empty", None,
    ]  # fmt: skip
    assert [one.why for one in packed if one.name is None] == [
        "where the link leads is not in RAM", "a socket is listed, not made", "nothing of it is in RAM",
    ]  # fmt: skip
    with tarfile.open(place.folder / "a.tar") as tar:
        info = {member.name: member for member in tar}
        assert set(info) == {
            ".", OPAQUE, "etc/.wh.passwd", "etc", f"etc/{OPAQUE}", ".wh.gone", "link", "sda", "pipe", "empty",
        }  # fmt: skip
        assert (info["link"].type, info["link"].linkname) == (tarfile.SYMTYPE, "../../../etc/shadow")
        assert (info["sda"].type, info["sda"].devmajor, info["sda"].devminor) == (tarfile.BLKTYPE, 8, 1)
        assert info[".wh.gone"].isfile() and info[".wh.gone"].size == 0 and info["etc"].isdir()
        assert (info["pipe"].uid, info["pipe"].gid, info["pipe"].mtime) == (5, 6, 1795392000)
    listed = subprocess.run(["tar", "-tf", place.folder / "a.tar"], capture_output=True, text=True, check=True).stdout
    assert f"etc/{OPAQUE}" in listed.splitlines()


def test_an_archive_that_cannot_be_written_on_ends_with_its_last_whole_file(good: RamSource, tmp_path: Path) -> None:
    place = Output(tmp_path / "out")
    archives = Archives(place, good.kernel)
    archives.add("a.tar", "one", row("regular"), EMPTY)

    class Torn(Content):
        def chunks(self, kernel: Kernel) -> Any:
            yield 0, bytes(4096)
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        archives.add("a.tar", "two", row("regular", size=8192), Torn(np.arange(2), np.zeros(2, np.uint64), 8192))
    archives.close()
    with tarfile.open(fileobj=io.BytesIO((place.folder / "a.tar").read_bytes())) as tar:
        assert tar.getnames() == ["one"]


def planted(source: RamSource, changes: dict[int, bytes]) -> Node:
    """The image with other bytes at some physical addresses."""
    memory = source.kernel.memory
    return RamNode(RamSource(Kernel(damaged(memory, patched(memory, changes)), source.kernel.anchors)))


def inode_of(source: RamSource, path: bytes) -> tuple[int, int]:
    """(address of the inode, of its name's bytes) of a file on an upper layer."""
    every = source.inodes
    number = next(
        name
        for row_of, name in enumerate(every.row.tolist())
        if every.layer[row_of] == "upper" and every.names.inside[name] == path
    )
    dentry = every.names.dentry[number : number + 1]
    text = source.kernel.pointer(dentry, "dentry", "d_name.name")
    return int(every.names.inode[number]), int(source.kernel.space.physical(text)[0][0])


MORE = pytest.mark.long("more of the same")


@pytest.mark.parametrize(
    ("name", "put"),
    [
        (b"../../../x", "%2E%2E%2F%2E%2E%2F%2E%2E%2Fx"), (b"/etc/shado", "%2Fetc%2Fshado"),
        (b"a\nb\x1b[2J.lg", "a%0Ab%1B[2J.lg"), (b".wh.passwd", ".wh.passwd"),
        *(pytest.param(*names, marks=MORE) for names in (
            (b"C:\\con.txt", "C%3A%5Ccon.txt"), (b"..........", ".........."), (b"\xff\xfe\x80log.x", None),
        )),
    ],
)  # fmt: skip
def test_planted_names(good: RamSource, tmp_path: Path, name: bytes, put: str | None) -> None:
    """In the place of server.log: whatever it is called, it lies below the folder, under its own bytes' name."""
    _, text = inode_of(good, b"/tmp/server.log")
    node = planted(good, {text: name})
    wanted = Wanted(pod=("web-7d4b9c6f5-abcde",), container=("web",))
    done = extract_files(node, tmp_path / "a", wanted)
    written = [path for path in (tmp_path / "a").rglob("*") if path.is_file() and path.name != MANIFEST]
    root = (tmp_path / "a").resolve()
    assert all(root in path.resolve().parents and not path.is_symlink() for path in written)
    named = sorted(str(entry.file) for entry in done if entry.file)
    assert sorted(str(path.relative_to(tmp_path / "a")) for path in written) == named
    assert sum(entry.size == 18 for entry in done if entry.file) == 1
    extract_files(node, tmp_path / "b", wanted, tar=True)
    with tarfile.open(tmp_path / "b" / "shop_web-7d4b9c6f5-abcde_web.tar") as tar:
        names = [member.name for member in tar if member.size == 18]
    assert len(names) == 1 and not names[0].startswith("/") and ".." not in names[0].split("/")
    if put is not None and b"/" not in name:
        assert names == [f"tmp/{put}".replace("tmp/.wh.", "tmp/%2Ewh.")]


@pytest.mark.parametrize("size", [1 << 62, -1, *(pytest.param(size, marks=MORE) for size in ((1 << 63) - 1, 1 << 40))])
def test_absurd_sizes(good: RamSource, tmp_path: Path, size: int) -> None:
    address, _ = inode_of(good, b"/tmp/server.log")
    place = np.array([address + good.kernel.types.offset("inode", "i_size")], np.uint64)
    node = planted(good, {int(good.kernel.space.physical(place)[0][0]): size.to_bytes(8, "little", signed=True)})
    wanted = Wanted(path="/tmp/server.log")
    (entry,) = extract_files(node, tmp_path / "a", wanted)
    if size > 0:
        path = tmp_path / "a" / str(entry.file)
        assert entry.why == "ends at its last page in RAM: its size is absurd" and path.stat().st_size == 4096
        assert entry.sha256 is None and entry.holes == [(4096, min(size, (1 << 63) - 4096))]
    (packed,) = extract_files(node, tmp_path / "b", wanted, tar=True)
    assert packed.file is None if size > 0 else packed.size <= 0
    assert sum(path.stat().st_size for path in (tmp_path / "b").rglob("*") if path.is_file()) < 1 << 20
