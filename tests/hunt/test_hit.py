# SPDX-License-Identifier: Apache-2.0
"""What a match becomes: the frames it lies on, its bytes, the whole of a secret."""

from __future__ import annotations

import numpy as np

from memir.hunt.hit import ABSENT, MAX_DATA, MAX_SECRET, About, frames_of
from memir.hunt.units import Unit
from tests.hunt.hunting import PAGE, frames


def unit(*, joined: bool) -> Unit:
    return Unit("process", "unit", np.array([0, 1, 3], np.int64), frames(10, 11, 20), 4, joined, [7])


def about(tags: tuple[str, ...], *meta: tuple[str, str]) -> About:
    return About("R", "r.yar", tags, meta, unit(joined=True))


def test_frames() -> None:
    slots = np.array([10, 11, int(ABSENT), 20], np.uint64)
    assert frames_of(unit(joined=True), slots, PAGE - 1, 2) == ((10, 11), PAGE - 1)
    assert frames_of(unit(joined=True), slots, 3 * PAGE + 5, 0) == ((20,), 5)
    assert frames_of(unit(joined=True), slots, 2 * PAGE + 8, PAGE) == ((20,), 0)  # begins on an empty page
    assert frames_of(unit(joined=True), slots, 2 * PAGE + 8, 8) is None
    assert frames_of(unit(joined=False), slots, PAGE - 1, 2) == ((10, 11), PAGE - 1)
    assert frames_of(unit(joined=False), slots, 2 * PAGE - 1, PAGE + 2) is None  # only put side by side


def test_bytes_of_a_hit() -> None:
    data = np.frombuffer(b"b" * 100 + b"M" * 900 + b"a" * 9000, np.uint8)
    hit = about(()).hit("$a", (10,), 100, (100, 900), data)
    assert (hit.data, hit.before, hit.after) == (b"M" * MAX_DATA, b"b" * 64, b"a" * 64)
    assert hit.paddr == 10 * PAGE + 100 and hit.mms == {7} and hit.key == ("r.yar", "R", "$a", (10,), 100, 900)
    assert about(("secret",)).hit("$a", (10,), 100, (100, 900), data).data == b"M" * 900


def test_a_secret_goes_on_after_the_match() -> None:
    data = np.frombuffer(b"key=" + b"S" * 3000 + b"\0" * 20_000, np.uint8)
    assert about(("secret",), ("secret", "S{100,}")).length(data, 0, 50) == 3004
    assert about((), ("secret", "S{100,}")).length(data, 0, 50) == 50  # not tagged
    assert about(("secret",)).length(data, 0, 50) == 50
    assert about(("secret",), ("secret", "(")).length(data, 0, 50) == 50  # no expression
    assert about(("secret",), ("secret", "T+")).length(data, 0, 50) == 50  # not there
    assert about(("secret",), ("secret", "\\x00{9}")).length(data, 0, 50) == 50  # begins behind the match
    long = np.full(2 * MAX_SECRET, ord("S"), np.uint8)
    assert about(("secret",), ("secret", "S+?$|S{99}")).length(long, 0, 50) <= MAX_SECRET
