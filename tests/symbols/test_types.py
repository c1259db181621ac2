# SPDX-License-Identifier: Apache-2.0
"""Dotted paths through structs of any source; earlier sources win."""

from __future__ import annotations

import pytest

from memir.errors import SymbolsError
from memir.symbols.types import KernelTypes, Member, TypeRef

INT = TypeRef("int", 4, "int", signed=True)
INNER = TypeRef("struct", 8, "inner")


class Written:
    """A source of types that are written down here; counts how often it is asked."""

    def __init__(self, structs: dict[str, tuple[int, dict[str, Member]]], enums: dict[str, dict[str, int]]) -> None:
        self.structs, self.enums, self.asked = structs, enums, 0

    def struct(self, name: str) -> tuple[int, dict[str, Member]] | None:
        self.asked += 1
        return self.structs.get(name)

    def enum(self, name: str) -> dict[str, int] | None:
        self.asked += 1
        return self.enums.get(name)


def kernel() -> Written:
    row = TypeRef("array", 24, "inner[3]", count=3, element=INNER)
    grid = TypeRef("array", 48, "inner[2][3]", count=2, element=row)
    outer = {"a": Member(0, INT), "in": Member(16, INNER), "rows": Member(24, grid), "f": Member(72, INT, 3, 5)}
    structs = {"inner": (8, {"x": Member(0, INT), "y": Member(4, INT)}), "outer": (80, outer)}
    return Written(structs, {"state": {"OFF": 0, "ON": 1}})


def test_paths() -> None:
    types = KernelTypes(kernel())
    assert types.size("outer") == 80
    assert list(types.members("inner")) == ["x", "y"]
    assert types.offset("outer", "in.y") == 20
    assert types.offset("outer", "rows.y") == 28  # of an array's first element
    assert types.member("outer", "in.y") == Member(20, INT)
    assert types.member("outer", "f") == Member(72, INT, 3, 5)
    assert types.has("outer", "in.x")
    for path in ("in.z", "a.x", "", "in.", ".x", "in..x"):
        assert not types.has("outer", path), path
        with pytest.raises(SymbolsError, match="have no member outer"):
            types.member("outer", path)
    assert types.exists("inner")
    assert not types.exists("absent")
    for ask in (types.size, types.members):
        with pytest.raises(SymbolsError, match="no struct absent"):
            ask("absent")


def test_the_first_member_that_is_there() -> None:
    types = KernelTypes(kernel())
    assert types.first("outer", "newest", "in.y", "a") == "in.y"
    with pytest.raises(SymbolsError, match=r"have none of outer\.\{newest, new\}"):
        types.first("outer", "newest", "new")


def test_a_modules_types_never_replace_the_kernels() -> None:
    module = Written({"inner": (99, {}), "own": (4, {"z": Member(0, INT)})}, {"state": {}, "more": {"B": 2}})
    plain = KernelTypes(kernel())
    both = plain.with_source(module)
    assert both.size("inner") == 8
    assert both.offset("own", "z") == 0
    assert both.enum("state") == {"OFF": 0, "ON": 1}
    assert both.enum("more") == {"B": 2}
    assert plain.enum("more") is None
    assert not plain.exists("own")


def test_a_source_is_asked_once() -> None:
    source = kernel()
    types = KernelTypes(source)
    assert [types.exists("outer"), types.exists("none")] * 3 == [True, False] * 3
    assert source.asked == 2
    assert [types.enum("state"), types.enum("none")] * 2 == [{"OFF": 0, "ON": 1}, None] * 2
    assert source.asked == 4
