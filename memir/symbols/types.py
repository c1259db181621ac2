# SPDX-License-Identifier: Apache-2.0
"""Typed layout of kernel structures, whatever it was read from (BTF, ISF, volatility3).

A source of types implements `TypeSource`: give the direct members of a named or anonymous struct. `KernelTypes`
adds what the engine asks for: offsets of dotted paths through embedded structs, unions and anonymous members.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from memir.errors import SymbolsError

Kind = Literal["int", "pointer", "struct", "array", "enum", "float", "function", "void"]


@dataclass(frozen=True, slots=True)
class TypeRef:
    """A resolved type: qualifiers and typedefs are already stripped.

    kind: what it is; "struct" stands for structs and unions.
    size: bytes (0 if unknown or a forward declaration).
    name: for a struct its tag, or a source's own unique key for an anonymous one; for others a readable name.
    signed: for int and enum.
    count, element: for arrays. element: for pointers what they point to, where the source knows it.
    """

    kind: Kind
    size: int
    name: str
    signed: bool = False
    count: int = 0
    element: TypeRef | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member as seen from the start of the struct asked about.

    offset: bytes. bit_size: 0 unless a bit-field; then the field is `(word >> bit_offset) & mask` of the
    little-endian word of `type.size` bytes at offset.
    """

    offset: int
    type: TypeRef
    bit_offset: int = 0
    bit_size: int = 0


class TypeSource(Protocol):
    """Where struct layouts come from."""

    def struct(self, name: str) -> tuple[int, dict[str, Member]] | None:
        """Size in bytes and members by name of a struct or union; None if there is none.

        Members of anonymous structs and unions inside are listed flat, at their offset from the outer struct.
        """

    def enum(self, name: str) -> dict[str, int] | None:
        """The constants of a named enum; None if there is none."""


class KernelTypes:
    """What the kernel engine asks of types. Safe to share between threads: nothing changes but a cache."""

    def __init__(self, *sources: TypeSource) -> None:
        """Earlier sources win: a module's split BTF must never replace a type of the kernel's own."""
        self._sources = sources
        self._structs: dict[str, tuple[int, dict[str, Member]] | None] = {}
        self._enums: dict[str, dict[str, int] | None] = {}

    def with_source(self, source: TypeSource) -> KernelTypes:
        """The same types and, for names unknown so far, those of another source (a module's BTF)."""
        return KernelTypes(*self._sources, source)

    def _struct(self, name: str) -> tuple[int, dict[str, Member]] | None:
        if name not in self._structs:
            self._structs[name] = next((layout for s in self._sources if (layout := s.struct(name)) is not None), None)
        return self._structs[name]

    def exists(self, name: str) -> bool:
        """Whether a struct or union of this name is known."""
        return self._struct(name) is not None

    def has(self, name: str, path: str) -> bool:
        """Whether the struct has a member at this dotted path."""
        return self._find(name, path) is not None

    def size(self, name: str) -> int:
        """Size of a struct or union in bytes; SymbolsError if it is not known."""
        layout = self._struct(name)
        if layout is None:
            raise SymbolsError(f"the kernel's types have no struct {name}")
        return layout[0]

    def members(self, name: str) -> dict[str, Member]:
        """All members by name, those of anonymous members included; SymbolsError if not known."""
        layout = self._struct(name)
        if layout is None:
            raise SymbolsError(f"the kernel's types have no struct {name}")
        return layout[1]

    def member(self, name: str, path: str) -> Member:
        """The member at a dotted path; SymbolsError if there is none."""
        layout = self._find(name, path)
        if layout is None:
            raise SymbolsError(f"the kernel's types have no member {name}.{path}")
        return layout

    def offset(self, name: str, path: str) -> int:
        """Offset in bytes of the member at a dotted path; SymbolsError if there is none."""
        return self.member(name, path).offset

    def first(self, name: str, *paths: str) -> str:
        """The first of these paths that the struct has: layouts differ by members, newest named first."""
        for path in paths:
            if self.has(name, path):
                return path
        raise SymbolsError(f"the kernel's types have none of {name}.{{{', '.join(paths)}}}")

    def enum(self, name: str) -> dict[str, int] | None:
        """The constants of a named enum, None if it is not known."""
        if name not in self._enums:
            self._enums[name] = next((values for s in self._sources if (values := s.enum(name)) is not None), None)
        return self._enums[name]

    def _find(self, name: str, path: str) -> Member | None:
        offset, head = 0, name
        member: Member | None = None
        for part in path.split("."):
            layout = self._struct(head)
            if layout is None or part not in layout[1]:
                return None
            member = layout[1][part]
            offset += member.offset
            inner = member.type
            while inner.kind == "array" and inner.element is not None:
                inner = inner.element
            head = inner.name if inner.kind == "struct" else ""
        assert member is not None
        return Member(offset, member.type, member.bit_offset, member.bit_size)
