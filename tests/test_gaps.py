# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from memir.gaps import Gap, Gaps


def test_the_same_kind_and_reason_add_up_and_the_first_place_is_kept() -> None:
    gaps = Gaps()
    gaps.add("task", "pid 7", "page not in image")
    gaps.add("task", "pid 9", "page not in image", 4)
    gaps.add("task", "pid 9", "list loops")
    gaps.add("args", "pid 7", "page not in image", 2)
    assert list(gaps) == [
        Gap("task", "pid 7", "page not in image", 5), Gap("task", "pid 9", "list loops", 1),
        Gap("args", "pid 7", "page not in image", 2),
    ]  # fmt: skip
    assert (len(gaps), gaps.total) == (3, 8)


@pytest.mark.parametrize("count", [0, -3])
def test_nothing_that_could_not_be_read_is_no_gap(count: int) -> None:
    gaps = Gaps()
    gaps.add("task", "pid 7", "page not in image", count)
    assert (list(gaps), len(gaps), gaps.total) == ([], 0, 0)


def test_gaps_of_another_reading_are_taken_over() -> None:
    first, second = Gaps(), Gaps()
    first.add("task", "pid 7", "list loops", 2)
    second.add("task", "pid 8", "list loops", 3)
    second.add("args", "pid 8", "torn")
    first.extend(second)
    assert list(first) == [Gap("task", "pid 7", "list loops", 5), Gap("args", "pid 8", "torn", 1)]
    assert second.total == 4


def test_what_several_readers_meet_is_counted_once() -> None:
    gaps = Gaps()
    for count in (5, 3, 7, 7):
        gaps.once("page table", "user", "torn", count)
    assert list(gaps) == [Gap("page table", "user", "torn", 7)]
