# SPDX-License-Identifier: Apache-2.0
"""What stands out in the tables of one node: facts a responder wants first, not verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memir.gaps import Gap

Row = Mapping[str, Any]
_KERNEL_NAME = re.compile(
    r"\[.*\]|(kworker|kthread|ksoftirqd|migration|rcu_|kswapd|kdevtmpfs|khugepaged|kcompactd|irq/)"
)
LACKS = "the image lacks RAM"
_ALL_WITNESSES = {"tasks", "pids"}
_LISTS = ("task list", "thread list", "children list", "css_set task list", "task in")


@dataclass(frozen=True, slots=True)
class Oddity:
    """kind: short name of what it is. text: one line for people. pid, container_id, pod_uid: whom it is about."""

    kind: str
    text: str
    pid: int | None = None
    container_id: str | None = None
    pod_uid: str | None = None


def where(row: Row) -> str:
    """`namespace/pod/container` of a row, `node` for what is in none, `place not known` where nobody could say."""
    if row.get("pod_name"):
        parts = [row.get("namespace"), row["pod_name"], row.get("container_name")]
        return "/".join(str(part) for part in parts if part)
    if row.get("container_name"):
        return f"container {row['container_name']}"
    if row.get("container_id"):
        return f"container {row['container_id'][:12]}"
    if row.get("pod_uid"):
        return f"pod {row['pod_uid']}"
    return "place not known" if row.get("in_container", False) is None else "node"


def oddities(tables: Mapping[str, Sequence[Row]], gaps: Iterable[Gap] = (), smear: str = "") -> list[Oddity]:
    """Oddities of processes, then of containers. gaps: of the lists of tasks, which then prove less.

    smear: over how long RAM was read and how torn it is, in words; said beside every task that a list lacks.
    """
    odd: list[Oddity] = []
    kinds = [gap.kind for gap in gaps]
    torn = LACKS if "RAM" in kinds else "lists of tasks are torn" if _any_list(kinds) else None
    listed = [row["start_time"] for row in tables["processes"] if row["start_time"] and "tasks" in row["seen_by"]]
    for row in tables["processes"]:
        odd.extend(_process(row))
        odd.extend(_off_the_lists(row, torn, max(listed, default=None), smear))
    for row in tables["containers"]:
        odd.extend(_container(row))
    return odd


def _any_list(kinds: Iterable[str]) -> bool:
    return any(kind.startswith(_LISTS) for kind in kinds)


def _process(row: Row) -> list[Oddity]:
    name = f"pid {row['pid']} {row['comm']} ({where(row)})"
    out = []

    def add(kind: str, text: str) -> None:
        out.append(Oddity(kind, text, row["pid"], row["container_id"], row["pod_uid"]))

    exe = row["exe"]
    if exe is not None and exe.startswith("/memfd:"):
        add("memfd executable", f"{name} runs from memory: {exe}")
    elif row["exe_deleted"]:
        add("deleted executable", f"{name} runs {exe}, which has been deleted")
    first = (row["args"] or [""])[0]
    if (
        not row["kernel_thread"]
        and exe is not None
        and (_KERNEL_NAME.match(row["comm"] or "") or _KERNEL_NAME.fullmatch(first))
    ):
        add(
            "kernel thread's name",
            f"{name} is named like a kernel thread ({first or row['comm']}), but runs {exe}",
        )
    if row["disagreements"]:
        add("witnesses disagree", f"{name}: {', '.join(row['disagreements'])}")
    return out


def _off_the_lists(row: Row, torn: str | None, newest: Any, smear: str) -> list[Oddity]:
    """A task that a list lacks. RAM read while the node runs lacks such as start and end meanwhile, too.

    It is called hidden only where all RAM is there, no list is torn and it is not newer than all tasks on the list.
    """
    missing = _ALL_WITNESSES - set(row["seen_by"])
    if not missing:
        return []
    name = f"pid {row['pid']} {row['comm']} ({where(row)})"
    kind, text = "hidden task", f"{name} is known to {', '.join(row['seen_by'])}, not to {', '.join(sorted(missing))}"
    late = bool(row["start_time"] and newest and row["start_time"] > newest)
    if torn or late:
        why = torn if torn == LACKS or not late else "it is newer than every task on the list"
        # where RAM lacks, so may the very link that would prove it listed: nothing is called hidden then
        maybe = "the list is not whole, or it" if torn == LACKS else "hidden, or"
        kind, text = "task off the lists", f"{text}: {maybe} started or ended while RAM was read ({why})"
    if smear:
        text += f" [of the image: {smear}]"
    return [Oddity(kind, text, row["pid"], row["container_id"], row["pod_uid"])]


def _container(row: Row) -> list[Oddity]:
    name = row["container_name"] or row["container_id"][:12]
    out = []

    def add(kind: str, text: str) -> None:
        out.append(Oddity(kind, text, row["init_pid"], row["container_id"], row["pod_uid"]))

    if row["pod_uid"] is None and row["pod_name"] is None:
        add(
            "container without a pod",
            f"container {name} ({row['container_id'][:12]}, {row['state']}) belongs to no pod",
        )
    if row["kind"] != "sandbox" and row["privileged"] and row["state"] == "running":
        shared = [
            what
            for what, on in (
                ("the node's pids", row["host_pid"]),
                ("the node's network", row["host_network"]),
            )
            if on
        ]
        add(
            "privileged container",
            f"{where(row)} is privileged"
            + (" inside a user namespace of its own" if row["host_users"] is False else "")
            + (f" and shares {' and '.join(shared)}" if shared else ""),
        )
    if row["doubts"]:
        add("doubtful spec", f"{where(row)}: {'; '.join(row['doubts'])}")
    return out
