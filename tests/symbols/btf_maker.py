# SPDX-License-Identifier: Apache-2.0
"""BTF blobs made type by type."""

from __future__ import annotations

import struct

from memir.symbols import btf_format as f


class Maker:
    """Assembles a BTF blob."""

    def __init__(self, first: int = 1, first_string: int = 0) -> None:
        self.types = b""
        self.next = first
        self.first_string = first_string
        self.strings = b"" if first_string else b"\0"

    def text(self, name: str) -> int:
        if not name:
            return 0
        at = len(self.strings) + self.first_string
        self.strings += name.encode() + b"\0"
        return at

    def add(self, kind: int, name: str = "", last: int = 0, *more: int, vlen: int = 0, flag: bool = False) -> int:
        info = flag << 31 | kind << 24 | vlen
        self.types += struct.pack(f"<{3 + len(more)}I", self.text(name), info, last, *more)
        self.next += 1
        return self.next - 1

    def struct(
        self, name: str, size: int, *members: tuple[str, int, int], flag: bool = False, kind: int = f.STRUCT
    ) -> int:
        words = [word for text, target, where in members for word in (self.text(text), target, where)]
        return self.add(kind, name, size, *words, vlen=len(members), flag=flag)

    def int32(self) -> int:
        return self.add(f.INT, "int", 4, 1 << 24 | 32)

    def blob(self, layout: bytes = b"") -> bytes:
        sizes = (0, len(self.types), len(self.types), len(self.strings))
        extra = struct.pack("<2I", sizes[2] + sizes[3], len(layout)) if layout else b""
        head = struct.pack("<HBBI4I", 0xEB9F, 1, 0, 24 + len(extra), *sizes)
        return head + extra + self.types + self.strings + layout
