# SPDX-License-Identifier: Apache-2.0
"""A task that a list of the kernel lacks, for which the reading of RAM is reason enough."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.hidden_task import ENDED, LACKS, off_the_lists, words
from memir.findings.finding import Detection, Match, Proof
from memir.findings.look import Look


def _find(look: Look) -> Iterator[Match]:
    for row, why in off_the_lists(look):
        if why is None:
            continue
        # where RAM lacks, so may the very link that would prove it listed: nothing is called hidden then
        maybe = "the list is not whole, or it" if why == LACKS else "hidden, or"
        yield Match(
            "low" if why == LACKS or why.startswith(ENDED) else "medium", why,
            f"{words(row)}: {maybe} started or ended while RAM was read ({why})",
            row, (Proof("processes", f"pid = {row['pid']}"),), row["exe"],
        )  # fmt: skip


DETECTION = Detection(
    kind="unlisted-task",
    title="Task off some lists of the kernel",
    how="A task is missing in the list of tasks or in the table of pids, and it may have started or ended while RAM "
    "was read: RAM is missing, or the machine ran meanwhile (low); lists are torn, or it is newer than the begin of "
    "the reading (medium).",
    technique="T1014",
    tables=("processes",),
    find=_find,
    why="It is what a hidden task looks like, too; this image cannot tell.",
    check_next=("another image of the same node, or /proc of that time: does it show the task?",),
    benign=("tasks that start or end while RAM is read",),
    missed=("what hidden-task misses",),
    gaps=("task", "thread", "children list", "css_set", "pid IDR"),
)
