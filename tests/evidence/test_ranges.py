# SPDX-License-Identifier: Apache-2.0
"""Lists of ranges against sets of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memir.evidence.ranges import Range, intersect, merge, show, subtract, total

Some = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def as_set(ranges: tuple[Range, ...] | list[Range]) -> set[int]:
    return {value for start, end in ranges for value in range(start, end)}


def test_each_on_an_example() -> None:
    assert merge([(8, 9), (0, 4), (4, 6), (2, 3), (7, 7)]) == ((0, 6), (8, 9))
    assert subtract(((0, 10),), ((2, 3), (5, 20))) == ((0, 2), (3, 5))
    assert intersect(((0, 10),), ((2, 3), (5, 20))) == ((2, 3), (5, 10))
    assert total([(0, 4), (8, 9)]) == 5
    assert show([(0, 0x1000), (0x2000, 0x3000)]) == "0x0-0xfff, 0x2000-0x2fff"
    assert show([(0, 1)] * 3, 2) == "0x0-0x0, 0x0-0x0 and 1 more"
    assert (merge([]), total([]), show([])) == ((), 0, "")


@given(Some, Some)
def test_against_sets(left: list[Range], right: list[Range]) -> None:
    a, b = merge(left), merge(right)
    assert as_set(a) == as_set(left)
    assert as_set(subtract(a, b)) == as_set(a) - as_set(b)
    assert as_set(intersect(a, b)) == as_set(a) & as_set(b)
    assert total(subtract(a, b)) + total(intersect(a, b)) == total(a)
