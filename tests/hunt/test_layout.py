# SPDX-License-Identifier: Apache-2.0
"""Which units go together, and where empty pages stand."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memir.hunt.hit import ABSENT
from memir.hunt.layout import BORDER, batches, collapse
from memir.hunt.units import Unit
from tests.hunt.hunting import frames

EMPTY = int(ABSENT)


def unit(place: list[int], pfn: list[int], span: int | None = None) -> Unit:
    return Unit("process", "unit", np.array(place, np.int64), frames(*pfn), span or place[-1] + 1)


def test_batches() -> None:
    sizes = [600, 300, 300, 300, 100]
    units = [unit(list(range(size)), list(range(size))) for size in sizes]
    assert [[len(one.pfn) for one in batch] for batch in batches(units, 1000)] == [[600], [300, 300, 300, 100]]
    assert [len(batch) for batch in batches(units, 0)] == [1] * 5


def test_units_of_nothing_are_in_no_batch() -> None:
    assert batches([unit([0], [])], 1000) == []


def test_collapse() -> None:
    assert BORDER.tolist() == [EMPTY]
    assert collapse(unit([0, 1], [10, 11])).tolist() == [10, 11]
    assert collapse(unit([0, 5], [10, 11])).tolist() == [10, EMPTY, 11]
    assert collapse(unit([2, 3], [10, 11], 9)).tolist() == [EMPTY, 10, 11, EMPTY]
    assert collapse(unit([1, 3, 4, 9], [7, 6, 5, 4], 10)).tolist() == [EMPTY, 7, EMPTY, 6, 5, EMPTY, 4]


@given(st.sets(st.integers(0, 40), min_size=1), st.integers(0, 3))
def test_pages_stay_in_order_and_only_neighbours_touch(places: set[int], more: int) -> None:
    place = sorted(places)
    slots = collapse(unit(place, [100 + at for at in place], place[-1] + 1 + more)).tolist()
    assert [slot - 100 for slot in slots if slot != EMPTY] == place
    assert (slots[0] == EMPTY, slots[-1] == EMPTY) == (place[0] > 0, more > 0)
    for before, after in itertools.pairwise(slots):
        assert EMPTY in (before, after) or after == before + 1
        assert (before, after) != (EMPTY, EMPTY)
