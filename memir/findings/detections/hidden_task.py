# SPDX-License-Identifier: Apache-2.0
"""A task that some lists of the kernel have and others lack."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import ImageFacts, Look, Row, where

LACKS = "the image lacks RAM"
TORN = "lists of tasks are torn"
ENDED = "it may have ended while RAM was read"
_BOTH = {"tasks", "pids"}
_LISTS = ("task list", "thread list", "children list", "css_set task list", "task in")
_ONE_MOMENT = 1.0
"""Seconds: clocks in an image of a machine that stood still differ by less (memir.kernel.smear)."""
_SLACK = timedelta(seconds=2)
"""A tick and what clocks of processors differ by, with room to spare."""


def off_the_lists(look: Look) -> Iterator[tuple[Row, str | None]]:
    """(process, why it may have started or ended while RAM was read; None if nothing explains it) of those that a list
    lacks."""
    kinds = [gap.kind for gap in look.facts.gaps]
    torn = LACKS if "RAM" in kinds else _live(look.facts) or (TORN if any(map(_is_list, kinds)) else None)
    processes = look.rows("processes")
    listed = [row["start_time"] for row in processes if row["start_time"] and "tasks" in row["seen_by"]]
    for row in processes:
        if set(row["seen_by"]) >= _BOTH:
            continue
        if row["unlinked"] and torn != LACKS:  # nothing that happens while RAM is read does that
            yield row, None
            continue
        late = _late(look, row, max(listed, default=None))
        yield row, torn if torn == LACKS or not late else "it is newer than every task on the list"


def _live(facts: ImageFacts) -> str | None:
    """Why a task may have ended after its own page was read and before those that lead to it; None for one moment."""
    if facts.span is not None and facts.span < _ONE_MOMENT:
        return None
    over = "how long that took is not known" if facts.span is None else f"over {facts.span:.0f} s at least"
    return f"{ENDED}, {over}"


def _is_list(kind: str) -> bool:
    return kind.startswith(_LISTS)


def _late(look: Look, row: Row, newest: Any) -> bool:
    """Whether it may have started while RAM was read: after the reading began, or where that is not known after all
    others."""
    clock, span, start = look.facts.clock, look.facts.span, row["start_time"]
    if not start or (newest and start <= newest):
        return False
    return clock is None or span is None or start > clock - timedelta(seconds=span) - _SLACK


def words(row: Row) -> str:
    """Who knows the task and who does not."""
    missing = ", ".join(sorted(_BOTH - set(row["seen_by"])))
    name = f"pid {row['pid']} {short(row['comm'])} ({where(row)})"
    return f"{name} is known to {', '.join(row['seen_by'])}, not to {missing}"


def _reason(look: Look, row: Row) -> str:
    smear = f"; of the image: {look.facts.smear}" if look.facts.smear else ""
    if row["unlinked"]:
        return f"its own links say that it was taken out of the list of tasks, and it has not ended{smear}"
    return f"all RAM is there, read at one moment, and no list is torn{smear}"


def _find(look: Look) -> Iterator[Match]:
    for row, why in off_the_lists(look):
        if why is None:
            yield Match(
                "critical", _reason(look, row),
                words(row),
                row, (Proof("processes", f"pid = {row['pid']}"), Proof("threads", f"pid = {row['pid']}")), row["exe"],
            )  # fmt: skip


DETECTION = Detection(
    kind="hidden-task",
    title="Task taken from lists of the kernel",
    how="A task that runs is missing in the list of tasks or in the table of pids, while others (threads, children, "
    "cgroups, the slab) have it; and either its own links say that it was taken out though it has not ended, or all "
    "RAM is there, was read at one moment, and no list is torn. Otherwise it is unlisted-task.",
    technique="T1014",
    tables=("processes",),
    more=("threads",),
    find=_find,
    why="Only code in the kernel can take a task from these lists: it is a rootkit's work, and the node's own tools "
    "lie.",
    check_next=(
        "modules and hooks: `memir ask CASE rootkit` says what is changed in the kernel, and what was not looked at",
        "what the task is: program, connections, files; the node's ps and /proc do not show it",
        "do not trust anything that was or is read on the node itself; replace the node",
    ),
    benign=("none",),
    missed=("a task that was taken from every list and whose slab is not told from free memory",
            "code that runs in the kernel without a task"),
    gaps=("task", "thread", "children list", "css_set", "pid IDR"),
)  # fmt: skip
