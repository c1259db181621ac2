# SPDX-License-Identifier: Apache-2.0
"""Namespaces, pods, containers and processes as a tree of lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from memir.kernel.timekeeping import utc
from memir.report.cells import duration
from memir.text import can_show, safe

Row = Mapping[str, Any]
SHOWN = 12
"""Processes of one place that are listed; the table has all."""
_WORDS = 160
"""Arguments are shown up to so many characters: then whole ones are left out, and counted."""
_LONGEST = 400
"""One argument may be a whole script: it is the only text here that is cut."""


@dataclass(slots=True)
class Branch:
    """A line and what hangs below it."""

    text: str
    below: list[Branch] = field(default_factory=list)

    def add(self, text: str) -> Branch:
        """Hang another line below this one."""
        self.below.append(Branch(text))
        return self.below[-1]

    def lines(self) -> Iterator[str]:
        """The tree, drawn with what the output's encoding has."""
        drawn = ("├── ", "└── ", "│   ", "    ") if can_show("├└│─") else ("|-- ", "`-- ", "|   ", "    ")
        yield safe(self.text)
        yield from self._below("", drawn)

    def _below(self, indent: str, drawn: tuple[str, str, str, str]) -> Iterator[str]:
        tee, last, bar, blank = drawn
        for number, branch in enumerate(self.below, 1):
            end = number == len(self.below)
            yield f"{indent}{last if end else tee}{safe(branch.text)}"
            yield from branch._below(indent + (blank if end else bar), drawn)


def pod_tree(tables: Mapping[str, Sequence[Row]], clock: datetime | None = None, *, node: bool = True) -> Iterator[str]:
    """Lines of the tree. A table that is not there has no rows.

    clock: when the RAM was taken; processes then show how long they had run. node: false where nothing of the node was
    looked at, so that none of its processes proves nothing.
    """
    by_container: dict[str, list[Row]] = defaultdict(list)
    by_pod: dict[str, list[Row]] = defaultdict(list)
    own: list[Row] = []
    unknown: list[Row] = []
    for row in tables.get("processes", ()):
        if row["container_id"]:
            by_container[row["container_id"]].append(row)
        elif row["pod_uid"]:
            by_pod[row["pod_uid"]].append(row)
        elif not row["kernel_thread"]:
            (unknown if row["in_container"] is None else own).append(row)
    root = Branch("Pods")
    namespaces: dict[str, Branch] = {}
    containers: dict[str | None, list[Row]] = defaultdict(list)
    for row in tables.get("containers", ()):
        containers[row["pod_uid"]].append(row)
    for pod in tables.get("pods", ()):
        name = pod["namespace"] or "namespace not known"
        if name not in namespaces:
            namespaces[name] = root.add(name)
        leaf = namespaces[name].add(f"{pod['pod_name'] or pod['pod_uid']} [{', '.join(_about(pod))}]")
        for container in containers[pod["pod_uid"]]:
            _container(leaf, container, by_container[container["container_id"]], clock)
        _processes(leaf, by_pod[pod["pod_uid"]], clock)
    if containers[None]:
        branch = root.add("containers without a pod")
        for container in containers[None]:
            _container(branch, container, by_container[container["container_id"]], clock)
    if node:
        _processes(root.add(f"the node itself: {_count(own)}"), own, clock)
    if unknown:
        _processes(root.add(f"place not known (in a container or not): {_count(unknown)}"), unknown, clock)
    yield from root.lines()


def _count(rows: Sequence[Row]) -> str:
    return f"{len(rows)} process{'' if len(rows) == 1 else 'es'}"


def _about(pod: Row) -> Iterator[str]:
    """QoS, phase, what made it, who it is to Kubernetes and AWS, and whether it is about to go."""
    yield pod["qos"] or "QoS not known"
    if pod.get("phase") not in (None, "Running"):
        yield pod["phase"]
    if pod.get("owner"):
        yield f"of {pod['owner']}"
    if pod.get("service_account") not in (None, "default"):
        yield f"service account {pod['service_account']}"
    if pod.get("iam_role"):
        yield f"IAM role {pod['iam_role']}"
    if (moment := moment_of(pod.get("deleted_at"))) is not None:
        yield f"being deleted, by {moment:%Y-%m-%d %H:%M:%S}"
    if pod["seen_in"] == "api":
        yield "seen by the API only"


def _ending(container: Row) -> str:
    """How it ended and how often it was restarted, as far as it is known."""
    words = []
    if container.get("exit_code") is not None:
        words.append(f"exit code {container['exit_code']}")
    if container.get("reason"):
        words.append(str(container["reason"]))
    if (moment := moment_of(container.get("finished_at"))) is not None:
        words.append(f"ended {moment:%Y-%m-%d %H:%M:%S}")
    if restarts := container.get("restarts"):
        words.append(f"{restarts} restart{'' if restarts == 1 else 's'}")
    return f" ({', '.join(words)})" if words else ""


def _container(branch: Branch, container: Row, processes: Sequence[Row], clock: datetime | None) -> None:
    sandbox = container["kind"] == "sandbox"
    name = "sandbox" if sandbox else container["container_name"] or container["container_id"]
    image = f" {container['image']}" if container["image"] else ""
    kind = f" {container['kind']}" if container["kind"] in {"init", "sidecar", "ephemeral"} else ""
    leaf = branch.add(f"{name}{kind} {container['state']}{image}{_ending(container)}")
    if not (sandbox and len(processes) == 1):
        _processes(leaf, processes, clock)


def _processes(branch: Branch, rows: Sequence[Row], clock: datetime | None) -> None:
    for row in rows[:SHOWN]:
        branch.add(process_line(row, clock))
    if len(rows) > SHOWN:
        branch.add(f"... and {len(rows) - SHOWN} more")


def process_line(row: Row, clock: datetime | None = None) -> str:
    """A process on one line: pids, age, what is odd about it, command."""
    words = arguments(row["args"]) if row["args"] else f"[{row['comm']}]"
    inside = f" ({row['pid_in_container']} inside)" if row["pid_in_container"] not in (None, row["pid"]) else ""
    started = start_of(row)
    age = f" [{duration((clock - started).total_seconds())}]" if clock is not None and started is not None else ""
    marks = []
    if row["exe_deleted"]:
        marks.append("memfd" if (row["exe"] or "").startswith("/memfd:") else "deleted")
    if row["disagreements"]:
        marks.append("witnesses disagree")
    mark = f" ({', '.join(marks)})" if marks else ""
    return f"{row['pid']}{inside}{age}{mark} {words}"


def start_of(row: Row) -> datetime | None:
    """When a process started: from a datetime, or from ns since the epoch as rows of RAM have it."""
    return moment_of(row["start_time"])


def moment_of(value: datetime | int | None) -> datetime | None:
    """A time of a table: a datetime, or ns since the epoch as rows of RAM have it."""
    if value is None or isinstance(value, datetime):
        return value
    return utc(int(value))


def arguments(args: Sequence[str]) -> str:
    """A command line of bounded length: whole arguments, then how many more there are."""
    shown: list[str] = []
    length = 0
    for word in args:
        if shown and length + len(word) > _WORDS:
            break
        shown.append(word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…")
        length += len(word) + 1
    more = len(args) - len(shown)
    return " ".join(shown) + (f" … ({more} more argument{'' if more == 1 else 's'})" if more else "")
