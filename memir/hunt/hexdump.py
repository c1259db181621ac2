# SPDX-License-Identifier: Apache-2.0
"""Bytes of an image as text that a terminal, a browser and a spreadsheet leave alone."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re

SHOWN = 64
"""Bytes of a match that a hexdump shows."""
AROUND = 32  # two lines of the dump on either side


def printable(data: bytes) -> str:
    """Printable ASCII as it is, but for the backslash; every other byte as \\xNN."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in data)


def masked(data: bytes, secret: str | None = None) -> str:
    """A secret as its first bytes, its length and the beginning of its SHA-256: enough to tell two apart.

    secret: regular expression of the part of the match that is the secret; without it the whole match is. If it finds
    nothing, the secret is not whole, and no hash is given: secrets that begin alike would have the same. A JSON web
    token shows what its header and claims say, and only its signature is hidden.
    """
    span = secret_span(data, secret)
    if span is None:
        return f"{printable(data[: min(4, len(data) // 4)])}... ({len(data)} bytes, not whole: no hash)"
    value = data[span[0] : span[1]]
    shown = _token(value) or printable(value[: min(4, len(value) // 4)]) + "..."
    return f"{shown} ({len(value)} bytes, sha256 {hashlib.sha256(value).hexdigest()[:16]})"


def secret_span(data: bytes, secret: str | None) -> tuple[int, int] | None:
    """[start, end) of the secret in a match and what follows it; all of it without an expression that is one."""
    if secret is None:
        return 0, len(data)
    try:
        part = re.search(secret.encode("utf-8", "surrogateescape"), data)
    except re.error:  # a rule of someone else, whose `secret` means another thing
        return 0, len(data)
    return part.span() if part is not None and part.group() else None


def _token(value: bytes) -> str | None:
    """Header and claims of a JSON web token as JSON; None for anything else."""
    parts = value.split(b".")
    if len(parts) != 3 or not parts[2]:
        return None
    texts = []
    for part in parts[:2]:
        try:
            raw = base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
            content = json.loads(raw)
        except (binascii.Error, ValueError, RecursionError):
            return None
        if not isinstance(content, dict):
            return None
        texts.append(printable(raw))
    return f"{texts[0]}.{texts[1]}.***"


def hexdump(before: bytes, data: bytes, after: bytes, *, masked: bool = False) -> str:
    """Lines of 16 bytes around a match; offsets count from its first byte. A masked match shows as xx and
    *."""
    before, shown = before[-AROUND:], data[:SHOWN]
    after = after[:AROUND] if len(shown) == len(data) else b""
    content = before + shown + after
    hidden = range(len(before), len(before) + len(shown)) if masked else range(0)
    lines = []
    for start in range(0, len(content), 16):
        row = content[start : start + 16]
        codes = " ".join("xx" if start + place in hidden else f"{byte:02x}" for place, byte in enumerate(row))
        text = "".join(
            "*" if start + place in hidden else chr(byte) if 32 <= byte < 127 else "." for place, byte in enumerate(row)
        )
        lines.append(f"{start - len(before):+05d}  {codes:<47}  {text}")
    return "\n".join(lines)
