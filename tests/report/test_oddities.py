# SPDX-License-Identifier: Apache-2.0
"""A task that a list lacks is called hidden only where nothing else explains it."""

from __future__ import annotations

from typing import Any

import pytest

from memir.gaps import Gap
from memir.report.oddities import oddities

BOTH = ["tasks", "pids", "slab"]


def row(pid: int, start: float, seen: list[str]) -> dict[str, Any]:
    blank = dict.fromkeys(("exe", "exe_deleted", "args", "container_id", "pod_uid", "pod_name", "container_name"))
    return {**blank, "pid": pid, "comm": "sleep", "start_time": start, "seen_by": seen, "kernel_thread": False,
            "disagreements": []}  # fmt: skip


@pytest.mark.parametrize(
    ("gaps", "start", "kind", "why"),
    [
        ([], 10.0, "hidden task", "is known to slab, not to pids, tasks"),
        ([Gap("sockets", "0x1", "not readable", 1)], 10.0, "hidden task", "is known to slab, not to pids, tasks"),
        ([], 30.0, "task off the lists", "while RAM was read (it is newer than every task on the list)"),
        ([Gap("task list", "0x1", "link not readable", 1)], 10.0, "task off the lists", "(lists of tasks are torn)"),
        ([Gap("RAM", "0x1", "lacks", 1)], 10.0, "task off the lists", "while RAM was read (the image lacks RAM)"),
        ([Gap("RAM", "0x1", "lacks", 1)], 30.0, "task off the lists", "while RAM was read (the image lacks RAM)"),
        ([Gap("task in a css_set", "0x1", "not readable", 1)], 10.0, "task off the lists", "(lists of tasks are torn)"),
    ],
)
def test_a_task_that_a_list_lacks(gaps: list[Gap], start: float, kind: str, why: str) -> None:
    found = oddities({"processes": [row(1, 1.0, BOTH), row(2, 20.0, BOTH), row(3, start, ["slab"])],
                      "containers": []}, gaps)  # fmt: skip
    assert [(one.kind, one.pid) for one in found] == [(kind, 3)]
    assert found[0].text.startswith("pid 3 sleep (node) is known to slab, not to pids, tasks")
    assert found[0].text.endswith(why)
    # what a part of RAM shows proves nothing hidden, and the word is not said
    assert ("hidden" in found[0].kind + found[0].text) == (not any(gap.kind == "RAM" for gap in gaps))


def test_a_task_that_all_know_is_no_oddity() -> None:
    gaps = [Gap("task list", "0x1", "link not readable", 1)]
    assert oddities({"processes": [row(1, 1.0, BOTH), row(2, 2.0, BOTH)], "containers": []}, gaps) == []
