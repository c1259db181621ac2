# SPDX-License-Identifier: Apache-2.0
"""Protocol Buffers' wire format, as far as CRIU's messages need it, read by declared fields.

https://protobuf.dev/programming-guides/encoding/: a message is (tag, value) repeated; a tag is a varint of field number
and wire type. What is not declared is skipped, as by every reader of the format. Nothing here is trusted: a length that
leaves its message, a varint that does not end and a wire type that there is not are errors with their offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memir.errors import ImageFormatError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST = 10  # bytes of a varint of 64 bits


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message.

    kind: uint, int (two's complement), sint (zigzag), bool, text, bytes, or the fields of a message in it. many: it is
    repeated, packed or not, and becomes a list.
    """

    name: str
    kind: str | Mapping[int, Field] = "uint"
    many: bool = False


Message = Mapping[int, Field]
"""A message's fields by number."""


def decode(data: bytes, message: Message, where: str = "message") -> dict[str, Any]:
    """The declared fields of a message that are there, by name; a repeated one is a list, the last of others counts.

    ImageFormatError names `where`, the offset in it, and what is wrong.
    """
    out: dict[str, Any] = {}
    place, end = 0, len(data)
    while place < end:
        start = place
        tag, place = varint(data, place, where)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, place = varint(data, place, where)
            raw: int | bytes = value
        elif wire in (_FIXED64, _FIXED32, _BYTES):
            size, place = varint(data, place, where) if wire == _BYTES else (8 if wire == _FIXED64 else 4, place)
            if size > end - place:
                raise ImageFormatError(f"{where}: field {number} at offset {start:#x} is longer than its message")
            raw = data[place : place + size]
            place += size
            if wire != _BYTES:
                raw = int.from_bytes(raw, "little")
        else:
            raise ImageFormatError(f"{where}: wire type {wire} at offset {start:#x} is none of protobuf's")
        field = message.get(number)
        if field is not None:
            _take(out, field, raw, f"{where}.{field.name}")
    return out


def varint(data: bytes, place: int, where: str) -> tuple[int, int]:
    """(number of 64 bits, offset behind it); ImageFormatError if it does not end."""
    value, shift = 0, 0
    for index in range(place, min(place + _LONGEST, len(data))):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, index + 1
        shift += 7
    raise ImageFormatError(f"{where}: a number at offset {place:#x} does not end")


def _take(out: dict[str, Any], field: Field, raw: int | bytes, where: str) -> None:
    if isinstance(field.kind, str) and field.kind not in ("text", "bytes"):
        if isinstance(raw, bytes):
            values: list[Any] = []
            place = 0
            while place < len(raw):
                number, place = varint(raw, place, where)
                values.append(_number(number, field.kind))
            if not field.many:
                raise ImageFormatError(f"{where}: bytes where a number belongs")
        else:
            values = [_number(raw, field.kind)]
    elif isinstance(raw, int):
        raise ImageFormatError(f"{where}: a number where bytes belong")
    elif field.kind == "text":
        values = [raw.decode("utf-8", "backslashreplace")]
    else:
        values = [raw if isinstance(field.kind, str) else decode(raw, field.kind, where)]
    if field.many:
        out.setdefault(field.name, []).extend(values)
    elif values:
        out[field.name] = values[-1]


def _number(raw: int, kind: str) -> int | bool:
    if kind == "bool":
        return bool(raw)
    if kind == "sint":
        return (raw >> 1) ^ -(raw & 1)
    if kind == "int":
        return raw - (1 << 64) if raw >> 63 else raw
    return raw
