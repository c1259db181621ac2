# SPDX-License-Identifier: Apache-2.0
"""What is in a layer's tar, a line a file, made from the tar's bytes while they pass: path, type, times, SHA-256.

::

    {"layer": "upper", "version": 1}
    {"path": "/etc/changed", "type": "file", "size": 8, "mode": "0644", "uid": 0, "gid": 0, "mtime": 1795953600.25,
     "origin": "image", "sha256": "..."}
    {"path": "/etc/gone", "type": "whiteout"}
    {"path": "/srv/old", "type": "opaque", "hides": "image"}

Only this reads the tar: who stores it writes the list, who verifies makes it again and compares. So a list is a
function of the tar's bytes, and a node that lies can lie in the tar alone. Tar: pax(1) (ustar, extended headers) as
memir.collect.node.layer writes it; nothing is held but one header, so that a tar of any length is read in passing.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tarfile
from collections.abc import Callable
from typing import Any, Literal

SUFFIX = ".files.jsonl"
"""node/containers/ID/upper.tar has upper.files.jsonl beside it."""
VERSION = 1
BLOCK = 512
MAX_PAX = 4 << 20
"""Bytes of one extended header: the kernel has at most 64 KiB of attributes of a file, of which memir writes names."""
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
ORIGIN, HIDES = "MEMIR.origin", "MEMIR.hides"
"""Of the tar's headers: whether overlayfs copied the file up (image, none), and whether there is what a directory that
is marked as opaque hides."""
Kind = Literal["upper", "rootfs"]
_TAR = re.compile(r"node/containers/[^/]+/(upper|rootfs)\.tar")
_ESCAPED = re.compile(r"%((?:25)*)2Ewh\.")
_TYPES = {
    tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.LNKTYPE: "hardlink", tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block", tarfile.DIRTYPE: "directory", tarfile.FIFOTYPE: "fifo",
}  # fmt: skip


def kind_of(name: str) -> Kind | None:
    """Whether a file of a collection is the tar of a layer, by its name in the folder."""
    match = _TAR.fullmatch(name)
    return None if match is None else "upper" if match.group(1) == "upper" else "rootfs"


def list_of(name: str) -> str:
    """The name of the list of a tar."""
    return name.removesuffix(".tar") + SUFFIX


class LayerList:
    """Fed with a tar's bytes in order, gives the list's lines to `emit`. problem: why it stopped, "" if it did not."""

    def __init__(self, kind: Kind, emit: Callable[[bytes], object]) -> None:
        self._kind, self._emit = kind, emit
        self._held = bytearray()
        self._wanted = BLOCK
        self._state: Callable[[bytes], None] = self._header
        self._pax: dict[str, str] = {}
        self._row: dict[str, Any] | None = None
        self._digest = hashlib.sha256()
        self._left = self._padding = self._zeros = 0
        self.read = 0
        self.problem = ""
        self.counts = {"files": 0, "whiteouts": 0, "opaque": 0}
        emit(_line({"layer": kind, "version": VERSION}))

    def feed(self, data: bytes) -> None:
        """More of it. What comes behind a problem is passed over."""
        view = memoryview(data)
        while view and not self.problem:
            if self._left:
                part = view[: self._left]
                self._digest.update(part)
                self._left -= len(part)
            elif self._padding:
                part = view[: self._padding]
                self._padding -= len(part)
            else:
                part = view[: self._wanted - len(self._held)]
                self._held += part
            self.read += len(part)
            view = view[len(part) :]
            self._advance()

    def finish(self) -> None:
        """There is no more: a problem if that is no end of a tar."""
        if not self.problem and (self._zeros < 2 or self._held.strip(b"\0")):
            self._stop("it ends in the middle" if self.read else "it is empty")

    def _advance(self) -> None:
        if self._left or self._padding:
            return
        if self._row is not None:
            row, self._row = self._row, None
            if row["type"] == "file":
                row["sha256"] = self._digest.hexdigest()
            self._put(row)
        elif len(self._held) == self._wanted:
            block, self._held, self._wanted = bytes(self._held), bytearray(), BLOCK
            state, self._state = self._state, self._header
            state(block)

    def _header(self, block: bytes) -> None:
        if not block.strip(b"\0"):
            self._zeros += 1
            return
        if self._zeros:
            self._stop("there are bytes behind its end")
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            self._stop(f"no header of a tar: {error}")
            return
        if info.type == tarfile.XHDTYPE:
            if not 0 < info.size <= MAX_PAX:
                self._stop(f"an extended header of {info.size:,} bytes")
                return
            self._wanted, self._state = -(-info.size // BLOCK) * BLOCK, lambda data: self._extended(data[: info.size])
            return
        pax, self._pax = self._pax, {}
        if info.type not in _TYPES:
            self._stop(f"an entry of the type {info.type!r}, which memir's do not have")
            return
        try:
            self._begin(info, pax)
        except ValueError as error:
            self._stop(f"an extended header that makes no sense: {error}")

    def _begin(self, info: tarfile.TarInfo, pax: dict[str, str]) -> None:
        kind = _TYPES[info.type]
        size = int(pax.get("size", info.size)) if kind == "file" else 0
        if not 0 <= size < 1 << 63:
            raise ValueError(f"a size of {size}")
        row: dict[str, Any] = {
            "path": pax.get("path", info.name), "type": kind, "size": size if kind == "file" else None,
            "mode": f"{info.mode & 0o7777:04o}", "uid": int(pax.get("uid", info.uid)),
            "gid": int(pax.get("gid", info.gid)), "mtime": _time(pax.get("mtime", info.mtime)),
            **{name: _time(pax[name]) for name in ("atime", "ctime") if name in pax},
        }  # fmt: skip
        if kind in ("hardlink", "symlink"):
            row["target"] = pax.get("linkpath", info.linkname)
        if kind in ("char", "block"):
            row["device"] = f"{info.devmajor}:{info.devminor}"
        attributes = sorted(name.removeprefix("SCHILY.xattr.") for name in pax if name.startswith("SCHILY.xattr."))
        row |= {"attributes": attributes} if attributes else {}
        row |= {word: pax[name] for name, word in ((ORIGIN, "origin"), (HIDES, "hides")) if name in pax}
        if self._kind == "upper":
            row = _unmarked(row)
        elif kind == "hardlink":
            row["target"] = "/" + row["target"]
        row["path"] = "/" + row["path"].strip("/")
        self._row, self._digest = row, hashlib.sha256()
        self._left, self._padding = size, -size % BLOCK
        self._advance()

    def _extended(self, data: bytes) -> None:
        """Records `LENGTH KEY=VALUE\\n` of a pax header."""
        while data:
            length, _, _ = data[:20].partition(b" ")
            end = int(length) if length.isdigit() else 0
            key, equals, value = data[len(length) + 1 : end - 1].partition(b"=")
            if not equals or end > len(data) or data[end - 1 : end] != b"\n":
                self._stop("an extended header that is none")
                return
            self._pax[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
            data = data[end:]

    def _put(self, row: dict[str, Any]) -> None:
        counted = {"whiteout": "whiteouts", "opaque": "opaque"}.get(row["type"], "files")
        self.counts[counted] += 1
        self._emit(_line({name: value for name, value in row.items() if value is not None}))

    def _stop(self, why: str) -> None:
        self.problem = f"{why} (at byte {self.read:,})"


def _unmarked(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a layer in OCI's form as what it says: a whiteout, an opaque directory, or a file by its own name."""
    above, slash, last = row["path"].rpartition("/")
    above = "/".join(own_name(part) for part in above.split("/"))
    if last == OPAQUE:
        return {"path": above, "type": "opaque", "hides": row.get("hides")}
    if last.startswith(WHITEOUT):
        return {"path": above + slash + last[len(WHITEOUT) :], "type": "whiteout"}
    if row["type"] == "hardlink":
        row["target"] = "/" + "/".join(own_name(part) for part in row["target"].split("/"))
    return {**row, "path": above + slash + own_name(last)}


def own_name(part: str) -> str:
    """The name of a file as it was: memir.collect.node.layer.plain lets none in the tar look like a whiteout."""
    match = _ESCAPED.match(part)
    if match is None:
        return part
    more = match.group(1)
    return (f"%{more[2:]}2Ewh." if more else WHITEOUT) + part[match.end() :]


def _time(word: str | float) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"a time of {value}")
    return value


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode("ascii") + b"\n"
