# SPDX-License-Identifier: Apache-2.0
"""JSON out of memory that nobody vouches for: bounded, never raising, and honest about what was cut off.

The encoders whose documents are looked for (Go's encoding/json, and crun's C one) write valid UTF-8 and
escape every control character. So a NUL or a broken sequence is where the document was cut, and an
unescaped quote is structure, never text: both are used below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

LIMIT = 1 << 20
"""No document is read beyond this many bytes."""

MAX_DEPTH = 4  # how far into a torn value its whole members are still looked for

_SPACE = re.compile(r"[ \t\r\n]*")
_LONE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object read from memory.

    value: the object. What was read of a torn one holds whole members only, except that objects (and the
        lists asked for) that the cut runs through are kept with their whole members.
    length: bytes of the document as far as it was read.
    complete: it was read to its closing brace.
    doubts: what is odd about it, for people.
    """

    value: dict[str, Any]
    length: int
    complete: bool
    doubts: tuple[str, ...] = ()


def read_object(data: bytes | memoryview, part_lists: Iterable[str] = ()) -> Document | None:
    """Read the JSON object at the start of `data`; None if there is none, or nothing of it is whole.

    Bytes after the object do not matter. A torn object yields its whole members; of a list that the cut
    runs through, its whole elements if its key is in `part_lists`, else nothing.
    """
    text = _text(data)
    doubts: list[str] = []
    decoder = _decoder(doubts)
    try:
        value, end = decoder.raw_decode(text)
    except (ValueError, RecursionError):
        torn, end = _Torn(text, decoder, frozenset(part_lists)).members(0, 0)
        if not torn:
            return None
        return Document(without_lone_surrogates(torn, text), _bytes(text, end), False, tuple(dict.fromkeys(doubts)))
    if not isinstance(value, dict):
        return None
    return Document(without_lone_surrogates(value, text), _bytes(text, end), True, tuple(dict.fromkeys(doubts)))


def find_members(data: bytes | memoryview, keys: Iterable[str]) -> dict[str, Any]:
    """Whole members with these keys anywhere in a piece from the middle of a document.

    Sound as far as the piece is of such a document: `,"key":` without a backslash cannot be inside a
    string. Where in the tree the member hangs is not known, so ask only for keys that occur once.
    """
    text = bytes(data[:LIMIT]).decode("utf-8", "replace")
    decoder = _decoder([])
    members: dict[str, Any] = {}
    for key in keys:
        mark = re.search(r'[,{]"' + re.escape(key) + r'":', text)
        if mark is None:
            continue
        try:
            value, end = decoder.raw_decode(text, mark.end())
        except (ValueError, RecursionError):
            continue
        if text[end : end + 1] in (",", "}", "]"):
            members[key] = without_lone_surrogates(value, text)
    return members


def _text(data: bytes | memoryview) -> str:
    raw = bytes(data[:LIMIT])
    raw = raw.partition(b"\0")[0]
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        return raw[: error.start].decode()


def _bytes(text: str, end: int) -> int:
    return end if text.isascii() else len(text[:end].encode())


def _decoder(doubts: list[str]) -> json.JSONDecoder:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(items)
        if len(out) != len(items):
            doubts.append("a key occurs twice in one object; the last is kept")
        return out

    def constant(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    return json.JSONDecoder(object_pairs_hook=pairs, parse_constant=constant)


def without_lone_surrogates(value: Any, text: str) -> Any:
    """`value`, read from `text`, with U+FFFD for each lone surrogate, which UTF-8 and every table refuse."""
    if not _LONE.search(text):
        return value
    return _replace_lone(value, 0)


def _replace_lone(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if depth > 64:
        return None
    if isinstance(value, list):
        return [_replace_lone(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_replace_lone(key, depth + 1): _replace_lone(item, depth + 1) for key, item in value.items()}
    return value


class _Torn:
    """Reads the whole members of an object that does not parse. Linear: each depth reads the text once."""

    def __init__(self, text: str, decoder: json.JSONDecoder, part_lists: frozenset[str]) -> None:
        self.text = text
        self.decoder = decoder
        self.part_lists = part_lists

    def _at(self, position: int) -> tuple[str, int]:
        """The next character that is not space, and its place; "" at the end."""
        space = _SPACE.match(self.text, position)
        place = space.end() if space else position
        return self.text[place : place + 1], place

    def _value(self, position: int) -> tuple[Any, int] | None:
        """A whole value, which shows by what follows it: a number may be cut and still look like one."""
        try:
            value, end = self.decoder.raw_decode(self.text, position)
        except (ValueError, RecursionError):
            return None
        following, place = self._at(end)
        return (value, place) if following and following in ",}]" else None

    def members(self, position: int, depth: int) -> tuple[dict[str, Any], int]:
        """The members of the object at `position` up to the tear, and where reading stopped."""
        out: dict[str, Any] = {}
        character, place = self._at(position)
        if character != "{" or depth > MAX_DEPTH:
            return out, position
        character = ","
        while character == ",":
            quote, start = self._at(place + 1)
            if quote != '"':
                break
            try:
                key, end = self.decoder.raw_decode(self.text, start)
            except (ValueError, RecursionError):
                break
            colon, place = self._at(end)
            if colon != ":":
                break
            opening, start = self._at(place + 1)
            whole = self._value(start)
            if whole is None:
                part, place = self._part(key, opening, start, depth)
                if part:
                    out[key] = part
                break
            out[key], place = whole
            character = self.text[place]
        return out, place

    def _part(self, key: str, opening: str, start: int, depth: int) -> tuple[Any, int]:
        if opening == "{":
            return self.members(start, depth + 1)
        if opening != "[" or key not in self.part_lists:
            return None, start
        items: list[Any] = []
        character, place = ",", start
        while character == ",":
            whole = self._value(self._at(place + 1)[1])
            if whole is None:
                break
            items.append(whole[0])
            place = whole[1]
            character = self.text[place]
        return items, place
