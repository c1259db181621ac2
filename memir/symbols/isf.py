# SPDX-License-Identifier: Apache-2.0
"""Kernel types and addresses from volatility3's symbol files (ISF) of any origin.

Schema: volatility3/schemas/schema-6.2.0.json; older formats differ in what they leave out. What a type
refers to is checked when it is asked for. `memir.symbols.isf_make` writes such files.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import functools
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from memir.errors import IsfError
from memir.symbols.types import Kind, Member, TypeRef

_OPENERS: dict[bytes, Callable[[Path, str], Any]] = {
    b"\xfd7zXZ\0": lzma.open,
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
}
_MAX_BYTES = 256 << 20  # the largest that dwarf2json makes of a kernel are some 60 MB
_MAX_DEPTH = 64  # structures in structures are below 10 deep; more is a loop
_MAX_MEMBERS = 1 << 13  # task_struct has some 300, those inside it counted
_KINDS: dict[str, Kind] = {"int": "int", "char": "int", "bool": "int", "float": "float", "void": "void"}


def read(path: Path) -> IsfTypes:
    """Read JSON, plain or packed with xz, gzip or bzip2, told apart by content; IsfError if it is no ISF."""
    try:
        with path.open("rb") as file:
            magic = file.read(6)
        opener = next((opening for start, opening in _OPENERS.items() if magic.startswith(start)), Path.open)
        with opener(path, "rb") as file:
            data: bytes = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise IsfError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (EOFError, lzma.LZMAError, zlib.error) as error:
        raise IsfError(f"{path}: is not whole: {error}") from error
    if len(data) > _MAX_BYTES:
        raise IsfError(f"{path}: is larger than {_MAX_BYTES >> 20} MiB unpacked, which no kernel's ISF is")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IsfError(f"{path}: is not JSON: {error}") from error
    return IsfTypes(document, str(path))


class IsfTypes:
    """The types of an ISF as a `TypeSource`. Safe to share between threads: nothing changes but caches."""

    def __init__(self, document: Any, where: str = "ISF") -> None:
        """document: the parsed JSON. where: its name, for messages. IsfError unless it is of 64-bit Linux."""
        self.document: dict[str, Any] = document
        self.where = where
        if not isinstance(document, dict):
            self._fail("is a JSON document, but not an ISF")
        for section in ("base_types", "user_types", "enums", "symbols"):
            if not isinstance(document.get(section), dict):
                self._fail(f"has no section {section!r}: it is not an ISF")
        metadata = document.get("metadata")
        if isinstance(metadata, dict) and not {"windows", "mac"}.isdisjoint(metadata):
            self._fail("describes another system than Linux")
        pointer = self._base("pointer")
        if pointer.size != 8:
            self._fail(f"describes a kernel with pointers of {pointer.size} bytes; only 64-bit kernels are supported")
        self._structs: dict[str, tuple[int, dict[str, Member]] | None] = {}

    @functools.cached_property
    def symbols(self) -> Mapping[str, int]:
        """Every symbol's virtual address as linked, that is without KASLR, modulo 2**64."""
        addresses = {}
        for name, symbol in self.document["symbols"].items():
            address = symbol.get("address") if isinstance(symbol, dict) else None
            if not isinstance(address, int):
                self._fail(f"symbol {name!r} has no address")
            addresses[name] = address & (1 << 64) - 1
        return addresses

    @functools.cached_property
    def banner(self) -> bytes | None:
        """The kernel's linux_banner with its newline and NUL; None if the ISF does not say."""
        symbol = self.document["symbols"].get("linux_banner")
        data = symbol.get("constant_data") if isinstance(symbol, dict) else None
        if not data:
            return None
        try:
            return base64.b64decode(data, validate=True)
        except (TypeError, ValueError, binascii.Error) as error:
            raise IsfError(f"{self.where}: linux_banner's constant_data is not base64: {error}") from error

    def struct(self, name: str) -> tuple[int, dict[str, Member]] | None:
        """Size in bytes and members by name of a struct; None if there is none; IsfError if malformed."""
        if name not in self._structs:
            self._structs[name] = self._layout(name)
        return self._structs[name]

    def enum(self, name: str) -> dict[str, int] | None:
        """The constants of a named enum; None if there is none."""
        if name not in self.document["enums"]:
            return None
        constants = self._get(self.document["enums"], name, dict).get("constants")
        if not isinstance(constants, dict) or not all(isinstance(value, int) for value in constants.values()):
            self._fail(f"enum {name!r} has no constants")
        return dict(constants)

    def _layout(self, name: str) -> tuple[int, dict[str, Member]] | None:
        if name not in self.document["user_types"]:
            return None
        members: dict[str, Member] = {}
        self._flatten(name, 0, members, [0], 0)
        return self._size(name), members

    def _size(self, name: str) -> int:
        return self._number(self._get(self.document["user_types"], name, dict), "size", f"struct {name!r}")

    def _flatten(self, struct: str, base: int, members: dict[str, Member], count: list[int], depth: int) -> None:
        fields = self._get(self._get(self.document["user_types"], struct, dict), "fields", dict)
        count[0] += 1 + len(fields)
        if depth > _MAX_DEPTH or count[0] > _MAX_MEMBERS:
            self._fail(f"struct {struct!r} holds itself or has too many members")
        for name, field in fields.items():
            where = f"member {struct}.{name}"
            if not isinstance(field, dict):
                self._fail(f"{where} is not an object")
            offset = base + self._number(field, "offset", where)
            kind = self._get(field, "type", dict)
            if field.get("anonymous") and kind.get("kind") in ("struct", "union", "class"):
                inner = self._get(kind, "name", str)
                if inner in self.document["user_types"]:
                    self._flatten(inner, offset, members, count, depth + 1)
            elif name not in members:
                members[name] = self._member(kind, offset, where)

    def _member(self, kind: dict[str, Any], offset: int, where: str) -> Member:
        if kind.get("kind") != "bitfield":
            return Member(offset, self._ref(kind, where, 0))
        ref = self._ref(self._get(kind, "type", dict), where, 0)
        bit, bits = self._number(kind, "bit_position", where), self._number(kind, "bit_length", where)
        if not 0 < bits <= 64 or bit + bits > 8 * ref.size:
            self._fail(f"{where} has {bits} bits at bit {bit} of {ref.size} bytes")
        return Member(offset, ref, bit, bits)

    def _ref(self, kind: dict[str, Any], where: str, depth: int) -> TypeRef:  # noqa: RET503  (_fail never returns)
        if depth > _MAX_DEPTH:
            self._fail(f"{where} is nested too deep")
        match kind.get("kind"):
            case "base":
                return self._base(self._get(kind, "name", str))
            case "pointer":
                element = self._ref(self._get(kind, "subtype", dict), where, depth + 1)
                return TypeRef("pointer", 8, f"{element.name} *", element=element)
            case "array":
                element = self._ref(self._get(kind, "subtype", dict), where, depth + 1)
                count = self._number(kind, "count", where)
                if element.size * count >> 32:
                    self._fail(f"{where} is an array of {count} times {element.size} bytes")
                return TypeRef("array", element.size * count, f"{element.name}[{count}]", count=count, element=element)
            case "struct" | "union" | "class":
                name = self._get(kind, "name", str)
                return TypeRef("struct", self._size(name) if name in self.document["user_types"] else 0, name)
            case "enum":
                return self._enum_ref(self._get(kind, "name", str))
            case "function":
                return TypeRef("function", 0, "function")
        self._fail(f"{where} is of the unknown kind {kind.get('kind')!r}")

    def _enum_ref(self, name: str) -> TypeRef:
        enum = self._get(self.document["enums"], name, dict)
        base = self._base(self._get(enum, "base", str))
        return TypeRef("enum", self._number(enum, "size", f"enum {name!r}"), name, signed=base.signed)

    def _base(self, name: str) -> TypeRef:
        base = self._get(self.document["base_types"], name, dict)
        kind = _KINDS.get(self._get(base, "kind", str))
        if kind is None:
            self._fail(f"base type {name!r} is of the unknown kind {base['kind']!r}")
        return TypeRef(kind, self._number(base, "size", f"base type {name!r}"), name, signed=bool(base.get("signed")))

    def _number(self, entry: dict[str, Any], key: str, where: str) -> int:
        value = entry.get(key, 0 if key == "offset" else None)
        if not isinstance(value, int) or not 0 <= value < 1 << 32:
            self._fail(f"{where} has the {key} {value!r}")
        return value

    def _get(self, entry: dict[str, Any], key: str, kind: type[Any]) -> Any:
        value = entry.get(key)
        if not isinstance(value, kind):
            self._fail(f"has no {key!r} where one must be")
        return value

    def _fail(self, what: str) -> NoReturn:
        raise IsfError(f"{self.where}: {what}")
