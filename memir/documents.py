# SPDX-License-Identifier: Apache-2.0
"""JSON documents as typed records: a dataclass is what a document holds, how it is checked, and its schema.

`decode(Record, parsed, "case.json", CaseError)` gives a Record or says which field is wrong. A field without a default
must be there; a field that the record does not have is left out (a later memir may have added it). Records may hold
str, int, float, bool, None, other records, `tuple[X, ...]`, `tuple[X, Y]`, `Mapping[str, X]`, `Literal[...]` and unions
with None. Nothing heavy is imported.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import json
import re
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from memir.errors import EvidenceError

T = TypeVar("T")
# half of a UTF-16 pair is no character: no file, terminal or table takes it. U+DC80 to U+DCFF stand for the bytes of a
# file's name that is not UTF-8 (PEP 383)
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
MAX_DOCUMENT = 64 << 20
"""Bytes of a document that is read: a case with a million gaps is smaller."""


class _FieldError(Exception):
    """A value that its field cannot hold; becomes the caller's error with the field's place."""


def parse(data: bytes, name: str, error: type[EvidenceError] = EvidenceError) -> Any:
    """Parsed JSON. Raises `error` for what is no JSON; NaN and Infinity are none."""
    try:
        return json.loads(data, parse_constant=_constant)
    except (ValueError, RecursionError) as reason:
        raise error(f"{name}: not JSON: {reason}") from reason


def read(path: Path, error: type[EvidenceError] = EvidenceError) -> Any:
    """Parsed JSON of a file. Raises `error` if it cannot be read, is larger than MAX_DOCUMENT, or no JSON."""
    return parse(read_bytes(path, MAX_DOCUMENT, error), str(path), error)


def read_bytes(path: Path, most: int, error: type[EvidenceError], advice: str = "not what memir writes") -> bytes:
    """A file's bytes. Raises `error` if it cannot be read or has more than `most` bytes; advice: what that means."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as reason:
        raise error(f"{path}: cannot be read: {reason.strerror or reason}") from reason
    if len(data) > most:
        raise error(f"{path}: longer than {most >> 20} MiB: {advice}")
    return data


def decode(record: type[T], value: Any, name: str, error: type[EvidenceError] = EvidenceError) -> T:
    """A record from parsed JSON. name: of the document. Raises `error` that names the field and what it holds."""
    try:
        return typing.cast("T", _decode(record, value, ""))
    except _FieldError as reason:
        raise error(f"{name}: {reason}") from reason
    except RecursionError as reason:
        raise error(f"{name}: nested too deeply") from reason


def encode(value: Any) -> Any:
    """A record as what JSON holds: dicts, lists and scalars, fields in their order."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, collections.abc.Mapping):
        return {str(key): encode(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [encode(inner) for inner in value]
    return value


def schema(record: type, title: str) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a record, the records that it holds under $defs."""
    definitions: dict[str, Any] = {}
    root = _schema_of(record, definitions)
    whole = definitions.pop(root["$ref"].rsplit("/", 1)[1])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return {**head, **whole, "$defs": dict(sorted(definitions.items()))}


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _decode_union(arguments, value, where)
    if origin is typing.Literal:
        if not any(value == option and type(value) is type(option) for option in arguments):
            raise _field_error(where, value, " or ".join(json.dumps(option) for option in arguments))
        return value
    if origin is tuple:
        return _decode_tuple(arguments, value, where)
    if origin is collections.abc.Mapping:
        if not isinstance(value, dict):
            raise _field_error(where, value, "an object")
        for key in value:
            _decode_scalar(str, key, where)
        return {key: _decode(arguments[1], inner, f"{where}.{key}") for key, inner in value.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_record(kind, value, where)
    return _decode_scalar(kind, value, where)


def _decode_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and types.NoneType in options:
        return None
    rest = [option for option in options if option is not types.NoneType]
    for option in rest[:-1]:
        try:
            return _decode(option, value, where)
        except _FieldError:
            continue
    return _decode(rest[-1], value, where)


def _decode_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, list):
        raise _field_error(where, value, "a list")
    if arguments[-1] is Ellipsis:
        return tuple(_decode(arguments[0], inner, f"{where}[{index}]") for index, inner in enumerate(value))
    if len(value) != len(arguments):
        raise _field_error(where, value, f"a list of {len(arguments)}")
    pairs = enumerate(zip(arguments, value, strict=True))
    return tuple(_decode(kind, inner, f"{where}[{index}]") for index, (kind, inner) in pairs)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """The types of a record's fields. Kept: they are texts that are compiled at each question."""
    return typing.get_type_hints(kind)


def _decode_record(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _field_error(where, value, "an object")
    hints = _hints(kind)
    given = {}
    for field in dataclasses.fields(kind):
        place = f"{where}.{field.name}"
        if field.name in value:
            given[field.name] = _decode(hints[field.name], value[field.name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _FieldError(f"field {place.lstrip('.')} is missing")
    return kind(**given)


def _decode_scalar(kind: Any, value: Any, where: str) -> Any:
    if isinstance(value, str) and not value.isascii() and _HALF.search(value):
        raise _field_error(where, value, "a text of whole characters")
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise _field_error(where, value, "a number") from None
    # bool is an int to Python, not to JSON; what memir counts and addresses fits 64 bits
    if kind is int and (type(value) is not int or not -(1 << 63) <= value < 1 << 64):
        raise _field_error(where, value, "a whole number of 64 bits")
    if type(value) is not kind:
        raise _field_error(where, value, {str: "a text", bool: "true or false"}.get(kind, "a number"))
    return value


def _field_error(where: str, value: Any, wanted: str) -> _FieldError:
    shown = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)[:60]
    place = f"field {where.lstrip('.')}" if where else "the document"
    return _FieldError(f"{place} is {shown}, where {wanted} is expected")


def _schema_of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_schema_of(option, definitions) for option in arguments]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": _schema_of(arguments[0], definitions)}
        parts = [_schema_of(part, definitions) for part in arguments]
        return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
    if origin is collections.abc.Mapping:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1], definitions)}
    if dataclasses.is_dataclass(kind):
        return _schema_of_record(kind, definitions)
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}[kind]}


def _schema_of_record(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    name = kind.__name__
    if name not in definitions:
        definitions[name] = {}  # a record that holds its own kind finds it here
        hints = _hints(kind)
        required = [
            field.name
            for field in dataclasses.fields(kind)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        ]
        definitions[name] = {
            "type": "object",
            "description": " ".join((kind.__doc__ or "").split()),
            "properties": {
                field.name: _schema_of(hints[field.name], definitions) for field in dataclasses.fields(kind)
            },
            "required": required,
        }
    return {"$ref": f"#/$defs/{name}"}
