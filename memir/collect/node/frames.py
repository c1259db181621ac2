# SPDX-License-Identifier: Apache-2.0
"""Files in one stream, each with its size and hash behind it; memir/collect/stream.py reads it.

A line `memir-collect 1`; then for each file a line of JSON {"name"}, pieces (4 bytes of length, big-endian, and the
bytes), a length of 0, and a line of JSON {"size", "sha256", "error", "facts"}; at the end a line of JSON {"end"}.
"""

import hashlib
import json
import re
import struct
from typing import Any, BinaryIO, Dict, List, Set, Tuple

MAGIC = b"memir-collect 1\n"
PIECE = 1 << 20
MAX_GAPS = 10000


class Item:
    """One file of the stream; write to it and close it before the next is begun."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._digest = hashlib.sha256()
        self.size = 0
        self.facts: Dict[str, Any] = {}

    def write(self, data: bytes) -> int:
        """Append bytes."""
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            self._out.write(struct.pack(">I", len(piece)))
            self._out.write(piece)
            self._digest.update(piece)
        self.size += len(data)
        return len(data)

    def copy(self, file: BinaryIO, most: int) -> str:
        """Append what an open file holds, up to `most` bytes and the rest of a piece; why not all of it, "" if all."""
        try:
            while self.size < most:
                data = file.read(PIECE)
                if not data:
                    return ""
                self.write(data)
        except OSError as error:
            return str(error.strerror)
        return "cut after %d bytes" % most

    def close(self, error: str = "") -> None:
        """End the file. error: why it is not whole, "" if it is."""
        self._out.write(struct.pack(">I", 0))
        trailer = {"size": self.size, "sha256": self._digest.hexdigest(), "error": error, "facts": self.facts}
        self._out.write(line(trailer))


class Frames:
    """The stream."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._gaps: Dict[Tuple[str, str], List[Any]] = {}
        self._names: Set[str] = set()
        self.items = 0
        out.write(MAGIC)

    def item(self, name: str) -> Item:
        """Begin a file; a name that was there gets a number behind it."""
        plain, number = "/".join(component(part) for part in name.split("/")), 1
        name = plain
        while name in self._names:
            number += 1
            name = "%s~%d" % (plain, number)
        self._names.add(name)
        self._out.write(line({"name": name}))
        self.items += 1
        return Item(self._out)

    def file(self, name: str, data: bytes, error: str = "") -> None:
        """A whole file of bytes that are there already."""
        item = self.item(name)
        item.write(data)
        item.close(error)

    def gap(self, kind: str, where: str, why: str, missing: bool = False, count: int = 1) -> None:
        """Note what could not be read. missing: the collection is not whole without it."""
        key = (kind, why)
        if key in self._gaps:
            self._gaps[key][1] += count
        elif len(self._gaps) < MAX_GAPS:
            self._gaps[key] = [where, count, missing]

    def end(self, facts: Dict[str, Any]) -> None:
        """The last line, with every gap."""
        gaps = [
            {"kind": kind, "where": where, "why": why, "count": count, "missing": missing}
            for (kind, why), (where, count, missing) in self._gaps.items()
        ]
        self._out.write(line({"end": self.items, "gaps": gaps, "facts": facts}))
        self._out.flush()


def component(name: str) -> str:
    """A part of a file's name that every file system takes; the controller refuses any other."""
    return re.sub(r"^[^A-Za-z0-9_]", "_", re.sub(r"[^A-Za-z0-9._+@:=,~-]", "_", name))[:180] or "_"


def line(value: Any) -> bytes:
    """One line of JSON; bytes of names that are no UTF-8 stay as half characters (PEP 383), escaped."""
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
