# SPDX-License-Identifier: Apache-2.0
"""Text made safe for a terminal, and the one way in which anything of memir's reaches a terminal, file or pipe.

Whatever is printed may hold text of a node, an image or a log. Nothing else in memir prints: a test looks for it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from memir.errors import OutputError


def safe(text: str, limit: int | None = None) -> str:
    """The text with every character that a terminal may act on written as an escape, cut to `limit` characters.

    Covers C0 and C1 controls, DEL, and Unicode format characters (bidirectional overrides, zero-width, line and
    paragraph separators), private use and unassigned code points and lone surrogates.
    """
    if text.isascii() and text.isprintable():
        clean = text
    else:
        clean = "".join(
            char if char.isprintable() and unicodedata.category(char)[0] != "C" else _escape(char) for char in text
        )
    if limit is not None and len(clean) > limit:
        return clean[: max(0, limit - 1)] + "…"
    return clean


def _escape(char: str) -> str:
    code = ord(char)
    return {9: "\\t", 10: "\\n", 13: "\\r", 27: "\\e"}.get(code) or (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def width(text: str) -> int:
    """How many columns of a terminal a safe text takes: East Asian wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 fact`, `1,200 facts`. plural: where it is not the noun and s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def say(*lines: str, err: bool = False) -> None:
    """Print lines on standard output (err: standard error), each made safe; a line break inside one is escaped.

    A character that the output's encoding lacks goes out as an escape. If the reader of a pipe has gone, the rest is
    dropped and the command goes on: its result and exit code do not depend on who reads. OutputError if the output
    cannot be written for another reason.
    """
    _write("".join(f"{safe(line)}\n" for line in lines) if lines else "\n", err)


def say_all(lines: Iterable[str]) -> None:
    """Print many lines on standard output as `say` does, in few writes."""
    chunk: list[str] = []
    for line in lines:
        chunk.append(safe(line))
        if len(chunk) == 512:
            _write("\n".join(chunk) + "\n", err=False)
            chunk = []
    if chunk:
        _write("\n".join(chunk) + "\n", err=False)


def say_json(document: Any, *, indent: int | None = None) -> None:
    """One JSON document on standard output: ASCII, so that no terminal acts on it; NaN and infinity are null."""
    import json

    try:
        text = json.dumps(document, default=_plain, allow_nan=False, indent=indent)
    except ValueError:  # NaN or infinity: no JSON
        text = json.dumps(_finite(document), default=_plain, allow_nan=False, indent=indent)
    _write(text.replace("\x7f", "\\u007f") + "\n", err=False)


def say_raw(text: str) -> None:
    """Print text on standard output that is a format of its own (CSV), every control but line breaks made safe."""
    _write("\n".join(safe(line) for line in text.split("\n")), err=False)


def status(line: str) -> None:
    """Show a passing line on standard error, over the one before; an empty one wipes it. Only for a terminal."""
    room = max(shutil.get_terminal_size((80, 24)).columns - 1, 20)
    _write(f"\r\x1b[K{safe(line, room)}", err=True)


def can_show(text: str) -> bool:
    """Whether standard output's encoding has these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def flush() -> None:
    """Write out what is buffered; OutputError if that fails. A reader that has gone is no failure."""
    for stream, err in ((sys.stdout, False), (sys.stderr, True)):
        if stream is not None:
            with _writing(stream, err):
                stream.flush()


def _write(text: str, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # closed by whoever started us: nobody wants to read
        return
    with _writing(stream, err):
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        if err:
            stream.flush()


@contextlib.contextmanager
def _writing(stream: TextIO, err: bool) -> Iterator[None]:
    """A stream that cannot be written is dropped; of standard output that is an OutputError, unless its reader went."""
    try:
        yield
    except BrokenPipeError:
        _drop(stream)
    except OSError as error:
        _drop(stream)
        if not err:
            raise OutputError(f"standard output: cannot be written: {error.strerror or error}") from error


def _drop(stream: TextIO) -> None:
    """Let a stream that cannot be written lead nowhere, so that what is still buffered does no harm at exit."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # a stream of a test or a notebook has no descriptor
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    isoformat = getattr(value, "isoformat", None)
    if isoformat:
        return isoformat()
    item = getattr(value, "item", None)  # a number of numpy's
    return item() if item else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value
