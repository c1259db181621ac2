"""Text from an image made safe for a terminal."""

from __future__ import annotations

import unicodedata


def safe(text: str, limit: int | None = None) -> str:
    """The text with every character that a terminal may act on written as an escape, cut to `limit` characters.

    Covers C0 and C1 controls, DEL, and Unicode format characters (bidirectional overrides, zero-width, line and
    paragraph separators), private use and unassigned code points and lone surrogates.
    """
    if text.isascii() and text.isprintable():
        clean = text
    else:
        clean = "".join(
            one if one.isprintable() and unicodedata.category(one)[0] != "C" else _escape(one) for one in text
        )
    if limit is not None and len(clean) > limit:
        return clean[: max(0, limit - 1)] + "…"
    return clean


def _escape(one: str) -> str:
    code = ord(one)
    return {9: "\\t", 10: "\\n", 13: "\\r", 27: "\\e"}.get(code) or (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )
