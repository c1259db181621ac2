"""Bytes of an image as text that a terminal, a browser and a spreadsheet leave alone."""

from __future__ import annotations

import hashlib

SHOWN = 64
"""Bytes of a match that a hexdump shows."""
AROUND = 32


def printable(data: bytes) -> str:
    """Printable ASCII as it is, but for the backslash; every other byte as \\xNN."""
    return "".join(chr(one) if 32 <= one < 127 and one != 92 else f"\\x{one:02x}" for one in data)


def masked(data: bytes) -> str:
    """A secret as its first bytes, its length and the beginning of its SHA-256: enough to tell two apart."""
    keep = min(4, len(data) // 4)
    return f"{printable(data[:keep])}... ({len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:16]})"


def hexdump(before: bytes, data: bytes, after: bytes, *, masked: bool = False) -> str:
    """Lines of 16 bytes around a match; offsets count from its first byte. A masked match shows as xx and
    *."""
    before, shown = before[-AROUND:], data[:SHOWN]
    after = after[:AROUND] if len(shown) == len(data) else b""
    content = before + shown + after
    hidden = range(len(before), len(before) + len(shown)) if masked else range(0)
    lines = []
    for at in range(0, len(content), 16):
        row = content[at : at + 16]
        codes = " ".join("xx" if at + place in hidden else f"{one:02x}" for place, one in enumerate(row))
        text = "".join(
            "*" if at + place in hidden else chr(one) if 32 <= one < 127 else "." for place, one in enumerate(row)
        )
        lines.append(f"{at - len(before):+05d}  {codes:<47}  {text}")
    return "\n".join(lines)
