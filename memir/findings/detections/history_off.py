# SPDX-License-Identifier: Apache-2.0
"""A process whose shell is told to write no history."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

_OFF = {"HISTFILE=/dev/null", "HISTFILE=", "HISTSIZE=0", "HISTFILESIZE=0", "HISTCONTROL=ignoreall"}


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        off = _OFF.intersection(row["environ"] or ())
        if not off:
            continue
        asked = off.intersection(look.by_container.get(row["container_id"], {}).get("env") or ())
        yield Match(
            "info" if asked else "medium",
            "the container's spec says so" if asked else "the container's spec does not say so",
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) has {', '.join(sorted(off))}",
            row, (Proof("processes", f"pid = {row['pid']}"),), row["exe"],
        )  # fmt: skip


DETECTION = Detection(
    kind="history-off",
    title="Shell history turned off",
    how="The environment sets HISTFILE to /dev/null or nothing, or HISTSIZE to 0. Info if the container's spec does "
    "so, "
    "else medium.",
    technique="T1562.003",
    tables=("processes", "containers"),
    find=_find,
    why="Who does this does not want it to be read what was typed.",
    check_next=("what the process and its parent are", "lookups and the page cache: what was used there"),
    benign=("hardened images whose profile turns histories off",),
    missed=("unset HISTFILE and set +o history, which leave no variable",),
    gaps=("environ", "page"),
)
