# SPDX-License-Identifier: Apache-2.0
"""Kernel types from BTF, the type information that a kernel carries about itself.

    types = btf.parse(data)            # vmlinux's
    overlay = btf.parse(more, types)   # a module's, which continues it
    size, members = types.struct("task_struct")

Nothing is resolved before it is asked for: a kernel of 118,000 types costs some 25 ms,
a struct well under 1 ms.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from memir.symbols import btf_format as f
from memir.symbols.btf_format import Blob, RawType, find_btf_header_ok
from memir.symbols.types import Member, TypeRef

__all__ = ["BtfTypes", "find_btf_header_ok", "parse"]

STRUCTS = (f.STRUCT, f.UNION)
ENUMS = (f.ENUM, f.ENUM64)
_MAX_DEPTH = 64  # the kernel's own limit (MAX_RESOLVE_DEPTH) is 32
_MAX_MEMBERS = 1 << 13  # of one struct, anonymous structs' included; kernels have 276 at most


def parse(data: bytes | memoryview | npt.NDArray[np.uint8], base: BtfTypes | None = None) -> BtfTypes:
    """Read a BTF blob that starts with its header; bytes after its end are ignored, `data` is not kept.

    base: the kernel's own types where `data` is a module's (split BTF): its ids and strings continue theirs.
    BtfError, with the offset in bytes, if it is malformed; what types refer to is checked when asked for.
    """
    return BtfTypes(Blob(data, base.blob if base else None))


class BtfTypes:
    """The types of one BTF blob as a `TypeSource`; safe to share between threads.

    An anonymous struct goes by "#" and its id, a module's by "#", a checksum of its blob, ":" and the id.
    A module's struct that the kernel has too is given as the kernel has it.
    """

    def __init__(self, blob: Blob) -> None:
        self.blob = blob
        self._prefix = f"#{zlib.crc32(blob.tag()):08x}:" if blob.base else "#"
        self._old_enums: bool | None = None
        self._refs: dict[int, TypeRef] = {}
        self._structs: dict[int, tuple[int, dict[str, Member]]] = {}

    def struct(self, name: str) -> tuple[int, dict[str, Member]] | None:
        """Size in bytes and members by name of a struct, union or typedef of one; None if there is none.

        Members of anonymous structs inside are listed flat. BtfError if the struct is malformed.
        """
        number = self._by_key(name) if name.startswith("#") else self._tagged(name, STRUCTS)
        return None if number is None else self.layout(number)

    def enum(self, name: str) -> dict[str, int] | None:
        """The constants of a named enum or a typedef of one; None if there is none."""
        number = self._tagged(name, ENUMS)
        return None if number is None else self.constants(number)

    def key(self, number: int) -> str:
        """The name under which `struct` gives the struct with this id."""
        name = self.blob.raw(number).name
        # Two files of a kernel may have different structs of one name: only the first goes by it.
        first = self.blob.named(STRUCTS, name) if name else None
        if first is not None and (first == number or first < self.blob.first <= number):
            return name
        return f"{self._prefix if number >= self.blob.first else '#'}{number}"

    def layout(self, number: int) -> tuple[int, dict[str, Member]]:
        """Size and members, as `struct` gives them, of the struct with this id; BtfError if malformed."""
        known = self._structs.get(number)
        if known is None:
            members: dict[str, Member] = {}
            raw = self.blob.raw(number)
            self._flatten(raw, 0, members, [0], 0)
            known = self._structs[number] = (raw.size_or_type, members)
        return known

    def constants(self, number: int) -> dict[str, int]:
        """The constants of the enum with this id."""
        raw, string = self.blob.raw(number), self.blob.string
        words = raw.words
        if raw.kind == f.ENUM64:
            wide = zip(words[::3], words[1::3], words[2::3], strict=True)
            return {string(name): _signed(low | high << 32, 64, raw.kind_flag) for name, low, high in wide}
        signed = raw.kind_flag or self._enums_are_old()
        return {string(name): _signed(value, 32, signed) for name, value in zip(words[::2], words[1::2], strict=True)}

    def resolve(self, number: int, depth: int = 0) -> TypeRef:
        """The type with this id without its qualifiers and typedefs; BtfError if it is malformed."""
        ref = self._refs.get(number)
        if ref is None:
            if depth > _MAX_DEPTH:
                raise self.blob.error(number, "refers to itself or is nested too deep")
            ref = self._refs[number] = self._resolve(number, depth + 1)
        return ref

    def _resolve(self, number: int, depth: int) -> TypeRef:
        if number == 0:
            return TypeRef("void", 0, "void")
        raw = self.blob.raw(number)
        target = raw.size_or_type
        match raw.kind:
            case kind if kind in f.MODIFIERS:
                return self.resolve(target, depth)
            case f.INT:
                return TypeRef("int", target, raw.name, signed=bool(raw.words[0] >> 24 & 1))
            case f.PTR:
                element = self.resolve(target, depth)
                return TypeRef("pointer", 8, f"{element.name} *", element=element)
            case f.STRUCT | f.UNION:
                return TypeRef("struct", target, self.key(number))
            case f.ARRAY:
                element, count = self.resolve(raw.words[0], depth), raw.words[2]
                size = element.size * count
                if size >> 32:
                    raise self.blob.error(number, f"is an array of {count} times {element.size} bytes")
                return TypeRef("array", size, f"{element.name}[{count}]", count=count, element=element)
            case f.ENUM | f.ENUM64:
                return TypeRef("enum", target, raw.name or f"{self._prefix}{number}", signed=raw.kind_flag)
            case f.FLOAT:
                return TypeRef("float", target, raw.name, signed=True)
            case f.FWD:
                return TypeRef("struct", 0, raw.name)
            case f.FUNC | f.FUNC_PROTO:
                return TypeRef("function", 0, raw.name or "function")
            case kind:
                raise self.blob.error(number, f"of kind {kind} is not the type of a value")

    def _flatten(self, raw: RawType, base: int, members: dict[str, Member], count: list[int], depth: int) -> None:
        """Add the members of a struct that starts at bit `base` of the one asked about."""
        if raw.kind not in STRUCTS:
            raise self.blob.error(raw.number, "is not a struct")
        count[0] += 1 + len(raw.words) // 3  # an empty struct counts too, or nesting those has no bound
        if depth > _MAX_DEPTH or count[0] > _MAX_MEMBERS:
            raise self.blob.error(raw.number, "holds itself or has too many members")
        for name_at, target, where in zip(*[iter(raw.words)] * 3, strict=True):
            bits, place = (where >> 24, where & 0xFFFFFF) if raw.kind_flag else (0, where)
            name = self.blob.string(name_at)
            if name and name not in members:
                members[name] = self._member(raw, name, target, base + place, bits)
            elif not name and (inner := self._bare(target)).kind in STRUCTS:
                self._flatten(inner, base + place, members, count, depth + 1)

    def _member(self, owner: RawType, name: str, target: int, place: int, bits: int) -> Member:
        ref = self.resolve(target)
        if not bits and ref.kind == "int":
            # The old form of a bit-field (no kind flag): an int that says it has fewer bits than its bytes.
            word = self._bare(target).words[0]
            if word & 0xFF != 8 * ref.size or word >> 16 & 0xFF:
                bits, place = word & 0xFF, place + (word >> 16 & 0xFF)
        if not bits:
            if place % 8:
                raise self.blob.error(owner.number, f"has member {name} at bit {place}, inside a byte")
            return Member(place // 8, ref)
        size = 8 * ref.size
        if ref.kind not in ("int", "enum") or not bits <= size <= 64:
            raise self.blob.error(owner.number, f"has member {name} of {bits} bits in a {ref.kind} of {size}")
        start = place // size * size
        if place - start + bits > size:  # a packed struct may lay a bit-field across two of its words
            start, ref = place // 8 * 8, TypeRef(ref.kind, 8, ref.name, ref.signed)
        return Member(start // 8, ref, place - start, bits)

    def _bare(self, number: int) -> RawType:
        """The type without its qualifiers and typedefs, as the format has it; void is given as kind 0."""
        for _ in range(_MAX_DEPTH):
            raw = self.blob.raw(number) if number else RawType(0, "void", 0, False, 0, [])
            if raw.kind not in f.MODIFIERS:
                return raw
            number = raw.size_or_type
        raise self.blob.error(number, "refers to itself or is nested too deep")

    def _tagged(self, name: str, kinds: tuple[int, ...]) -> int | None:
        number = self.blob.named(kinds, name, few=kinds == ENUMS)
        if number is None and (typedef := self.blob.named((f.TYPEDEF,), name, few=True)) is not None:
            raw = self._bare(typedef)
            number = raw.number if raw.kind in kinds else None
        return number

    def _by_key(self, name: str) -> int | None:
        for prefix, first, end in ((self._prefix, self.blob.first, self.blob.end), ("#", 1, self.blob.first)):
            digits = name.removeprefix(prefix)
            if name.startswith(prefix) and digits.isdecimal() and len(digits) < 10 and first <= int(digits) < end:
                return int(digits) if self.blob.raw(int(digits)).kind in STRUCTS else None
        return None

    def _enums_are_old(self) -> bool:
        """Before pahole 1.24 no enum had its kind flag set and every constant was signed."""
        if self._old_enums is None:
            kinds = self.blob.kinds()
            self._old_enums = not bool(np.any((kinds == f.ENUM | 0x80) | (kinds & 0x7F == f.ENUM64)))
        return self._old_enums


def _signed(value: int, bits: int, signed: bool) -> int:
    return value - (1 << bits) if signed and value >> (bits - 1) else value
