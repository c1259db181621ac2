# SPDX-License-Identifier: Apache-2.0
"""Runs of pages against page by page answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.image.lazy import PAGE
from memir.image.runs import pages, runs, widened, without_absent


@given(st.lists(st.booleans(), max_size=60))
def test_runs(flags: list[bool]) -> None:
    found = list(runs(np.array(flags, bool)))
    assert [at for low, high in found for at in range(low, high)] == [at for at, flag in enumerate(flags) if flag]
    assert all(low < high for low, high in found)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("flags", "wanted"), [("", ""), ("1", "1"), ("0", "0"), ("0010", "0111"), ("100001", "110011"), ("01010", "11111")]
)
def test_widened(flags: str, wanted: str) -> None:
    given_flags = np.array([flag == "1" for flag in flags], bool)
    assert "".join(str(int(flag)) for flag in widened(given_flags)) == wanted
    assert given_flags.tolist() == [flag == "1" for flag in flags]  # as they were


@given(
    st.lists(st.booleans(), min_size=8, max_size=8),
    st.lists(st.tuples(st.integers(0, 3 * PAGE), st.booleans()), max_size=20),
    st.sampled_from([0, 1, 8, PAGE, PAGE + 1, 4 * PAGE]),
)
def test_reads_that_touch_absent_pages(absent: list[bool], reads: list[tuple[int, bool]], size: int) -> None:
    index = np.array([at for at, _ in reads], np.int64)
    ok = np.array([good for _, good in reads], bool)
    wanted = [good and not any(absent[at // PAGE : (at + max(size - 1, 0)) // PAGE + 1]) for at, good in reads]
    assert without_absent(index, ok, size, np.array(absent)).tolist() == wanted
    assert ok.tolist() == [good for _, good in reads]  # what was given stays as it was


@pytest.mark.parametrize(
    ("parts", "offset", "hole", "wanted"),
    [
        ([], 0, PAGE, []),
        ([(0, PAGE)], 0, PAGE, [(0, PAGE)]),
        ([(100, 200)], 0, PAGE, [(0, PAGE)]),  # whole pages, though only a part is there
        ([(100, 200)], 64, PAGE, [(0, PAGE)]),
        ([(4160, 8256)], 64, PAGE, [(PAGE, 2 * PAGE)]),  # a file with a header of 64 bytes
        ([(0, 100), (200, 300)], 0, PAGE, [(0, PAGE)]),  # two of one page
        ([(0, PAGE), (2 * PAGE, 3 * PAGE)], 0, PAGE, [(0, PAGE), (2 * PAGE, 3 * PAGE)]),
        ([(0, PAGE), (2 * PAGE, 3 * PAGE)], 0, 2 * PAGE, [(0, 3 * PAGE)]),
        ([(0, PAGE), (PAGE + 1, PAGE + 2)], 0, PAGE, [(0, 2 * PAGE)]),
    ],
)
def test_pages(parts: list[tuple[int, int]], offset: int, hole: int, wanted: list[tuple[int, int]]) -> None:
    assert list(pages(iter(parts), offset, hole)) == wanted


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 9000)), max_size=8), st.integers(0, 5000))
def test_pages_hold_every_byte_once(steps: list[tuple[int, int]], offset: int) -> None:
    at, parts = offset, []
    for gap, size in steps:
        parts.append((at + gap, at + gap + size))
        at += gap + size
    found = list(pages(iter(parts), offset))
    assert all(low % PAGE == high % PAGE == 0 and low < high for low, high in found)
    assert all(before[1] + PAGE <= after[0] for before, after in itertools.pairwise(found))
    inside = {page for low, high in found for page in range(low, high, PAGE)}
    ends = {(low - offset) // PAGE * PAGE for low, _ in parts} | {
        (high - 1 - offset) // PAGE * PAGE for _, high in parts
    }
    assert ends <= inside
