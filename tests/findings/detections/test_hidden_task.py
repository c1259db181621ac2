# SPDX-License-Identifier: Apache-2.0
"""A task that a list lacks is called hidden only where nothing else explains it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from memir.findings.detections.hidden_task import off_the_lists, words
from memir.findings.look import ImageFacts, Look
from memir.gaps import Gap
from memir.tables.sql import connected
from tests.findings.real import INTRUDED, NODE, SMALL, after, kind, node, on_the_node
from tests.images import case

KIND = "hidden-task"
NOTHING: Any = None
OFF = {308, 310, 312, 314, 317, 320}
TAKEN = OFF - {310}
"""Those whose own links say it: taken from the list of tasks, not from the table of pids alone."""


def test_there() -> None:
    """Those that the labels say were hidden, and no other."""
    labels = case(INTRUDED).labels()["processes"]
    assert {row["pid"] for row in labels if row["hidden_from"]} == OFF
    assert {(row["severity"], row["pid"]) for row in kind(INTRUDED, KIND)} == {("critical", pid) for pid in OFF}


def test_how_still_the_image_was_is_in_the_reason() -> None:
    """A title stands in lists, where the image's own line says it once."""
    rows = kind(INTRUDED, KIND)
    assert all(row["reason"].endswith("; of the image: " + facts().smear) and facts().smear for row in rows)
    assert not any("image" in row["title"] for row in rows)


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(SMALL, "unlisted-task") == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == kind(NODE, "unlisted-task") == []


def facts(**changes: Any) -> ImageFacts:
    return replace(node(INTRUDED)[1], **changes)


ENDED = "it may have ended while RAM was read, "


@pytest.mark.parametrize(
    ("change", "hidden", "reasons"),
    [
        ({}, OFF, set()),
        ({"gaps": (Gap("sockets", "0x1", "not readable"),)}, OFF, set()),
        ({"gaps": (Gap("RAM", "0x1", "lacks"),)}, set(), {"the image lacks RAM"}),
        # their own links prove the others
        ({"gaps": (Gap("task list", "0x1", "link not readable"),)}, TAKEN, {"lists of tasks are torn"}),
        ({"gaps": (Gap("task in a css_set", "0x1", "not readable"),)}, TAKEN, {"lists of tasks are torn"}),
        # after a long reading, a task that only the table of pids lacks may have ended
        ({"clock": None}, OFF, set()),
        ({"span": None}, TAKEN, {ENDED + "how long that took is not known"}),
        ({"span": 3600.0}, TAKEN, {ENDED + "over 3600 s at least"}),
        ({"span": 3.0}, TAKEN, {ENDED + "over 3 s at least"}),
    ],
)
def test_what_else_explains_it(change: dict[str, object], hidden: set[int], reasons: set[str]) -> None:
    tables = node(INTRUDED)[0]
    with connected(tables) as connection:
        rows = list(off_the_lists(Look(tables, connection, facts(**change))))
    assert {row["pid"] for row, reason in rows if reason is None} == hidden
    assert {reason for _, reason in rows if reason} == reasons
    assert {row["pid"] for row, _ in rows} == OFF


def test_a_task_that_starts_while_ram_is_read() -> None:
    """Unless its own links say that it was taken out."""
    clock = facts().clock
    assert clock is not None
    for taken, left in ((True, OFF), (False, OFF - {320}), (None, OFF - {320})):
        rows = after(INTRUDED, KIND, "processes", {"pid": 320}, start_time=clock - timedelta(seconds=1), unlinked=taken)
        assert {row["pid"] for row in rows} == left


def test_a_task_that_ends_while_ram_is_read() -> None:
    """As tasks of a live node do: it is not called hidden, and low."""
    live = facts(span=102.0)
    rows = after(INTRUDED, KIND, "processes", {"pid": 310}, live, comm="sleep")
    assert {row["pid"] for row in rows} == TAKEN
    (row,) = after(INTRUDED, "unlisted-task", "processes", {"pid": 310}, live, comm="sleep")
    assert (row["pid"], row["severity"]) == (310, "low")
    assert "hidden, or started or ended while RAM was read (it may have ended while" in row["title"]


def test_words() -> None:
    row = {"pid": 3, "comm": "x", "seen_by": ["slab"]}
    assert words(row) == "pid 3 x (node) is known to slab, not to pids, tasks"
