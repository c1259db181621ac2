# SPDX-License-Identifier: Apache-2.0
"""An analysis as a person reads it in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from memir.findings.look import where
from memir.hunt.hits import UNPLACED
from memir.report.cells import moment
from memir.report.drift import drift_lines
from memir.report.findings import finding_lines
from memir.report.kernel import kernel_line
from memir.report.network import network_lines
from memir.report.tree import pod_tree
from memir.text import counted, say, say_all

Row = Mapping[str, Any]
SHOWN = ("findings", "processes", "containers", "pods", "namespaces", "sockets", "modules", "hooks", "bpf", "hits")
"""Tables that a summary is made of."""
MAYBE = ("findings", "hits")
"""Those that an analysis need not have: there was no hunt, or no table to look at."""
OF_POD = ("findings", "processes", "containers", "pods", "sockets", "hits")
"""The same of a collected pod and a checkpoint, which have no tables of a kernel; that they are absent is a gap."""
_COUNTED = {"processes", "containers", "pods", "namespaces"}


def print_summary(record: Mapping[str, Any], tables: Mapping[str, Sequence[Row]]) -> None:
    """Node, counts, findings, tree of namespaces, pods, containers and processes, gaps. Everything is made safe."""
    kernel = record["kernel"]
    if record["evidence"]["ram_share"] < 1:
        say(f"RAM         {record['coverage']}")
        say("            what lay in the rest is not seen: that something is absent proves nothing")
    taken = record.get("clock")
    checkpoint = "checkpoints" in record.get("tables", {})
    if kernel is not None:
        say(f"Node        {record['node'] or 'name not known'}")
        say(f"Kernel      {kernel['release']} {kernel['arch']}, {kernel['paging_levels']}-level paging")
    else:
        what = "a checkpoint of one container" if checkpoint else "a collected pod"
        say(f"Node        {record['node'] or 'name not known'}: {what}: no kernel, nothing else of the node")
    say(f"Evidence    {record['evidence']['image']} ({record['evidence']['format']})")
    words = clock_words if kernel is not None else runtime_words if checkpoint else collected_words
    say(f"Taken       {words(taken)}")
    if smear := (record["evidence"].get("smear") or {}).get("text"):
        say(f"            {smear}")
    shown = SHOWN if kernel is not None else OF_POD
    if missing := [name for name in shown if name not in tables and name not in MAYBE]:
        say(f"Not read    {', '.join(missing)}: nothing is said of what they would hold")
    if _COUNTED.issubset(tables) or (kernel is None and (_COUNTED - {"namespaces"}).issubset(tables)):
        say(f"Counts      {_counts(tables)}")
    if kernel is not None and (integrity := kernel_line(tables, record["gaps"])) is not None:
        say(f"Kernel      {integrity}")
    say()
    if "findings" in tables:
        say_all(finding_lines(tables["findings"], record.get("tables", {}), whole=record["evidence"]["ram_share"] >= 1))
        say()
    if (_COUNTED - {"namespaces"}).issubset(tables):
        say_all(pod_tree(tables, datetime.fromisoformat(taken) if taken else None, node=kernel is not None))
        say()
    if "sockets" in tables:
        _network(tables["sockets"], whole=record["evidence"]["ram_share"] >= 1)
    if "inodes" in tables:
        _drift(tables["inodes"], tables.get("containers", ()), whole=record["evidence"]["ram_share"] >= 1)
    if "hits" in tables:
        _hits(tables["hits"])
    gaps = record["gaps"]
    if not gaps:
        say("Gaps: none: everything that was looked for could be read")
        return
    say(f"Gaps ({len(gaps)} kind{'s' if len(gaps) != 1 else ''}): what could not be read is not in the tables")
    for gap in gaps:
        say(f"  {gap['count']:>6,}  {gap['kind']}: {gap['why']}, e.g. {gap['where']}")


def clock_words(clock: str | None) -> str:
    """When the RAM was taken, by the image's own clock (ISO 8601)."""
    return f"{moment(datetime.fromisoformat(clock))} UTC by the image's own clock" if clock else "not known"


def collected_words(taken: str | None) -> str:
    """When a collection ended (ISO 8601)."""
    return f"{moment(datetime.fromisoformat(taken))} UTC by the clock of who collected it" if taken else "not known"


def runtime_words(taken: str | None) -> str:
    """When a checkpoint was taken, by the runtime's document (ISO 8601)."""
    return f"{moment(datetime.fromisoformat(taken))} UTC by the runtime's config.dump" if taken else "not known"


def _drift(inodes: Sequence[Row], containers: Sequence[Row], *, whole: bool) -> None:
    """What containers have changed of their images. whole: all RAM is there, so that no change may be said."""
    lines = drift_lines(inodes, containers)
    none = (
        "Drift: no container has changed its image, as far as memory knows its files" if whole
        else "Drift: no change of an image is in the RAM that is there, which proves nothing of the rest"
    )  # fmt: skip
    say("Drift" if lines else none)
    for line in lines:
        say(f"  {line}")
    say()


def _network(sockets: Sequence[Row], *, whole: bool) -> None:
    """What pods and the node listen on and whom they talk to."""
    lines = network_lines(sockets)
    none = (
        "Network: nothing listens beyond its own host, and nothing is connected" if whole
        else "Network: no listener and no connection is in the RAM that is there, which proves nothing of the rest"
    )  # fmt: skip
    say("Network" if lines else none)
    for line in lines:
        say(f"  {line}")
    say()


def _hits(rows: Sequence[Row]) -> None:
    """Hits by rule and place."""
    places = Counter((row["rule"], _place(row)) for row in rows)
    say(f"Hits ({len({row['hit_id'] for row in rows})})" if rows else "Hits: none")
    for (rule, place), count in sorted(places.items()):
        say(f"  {count:>6}  {rule} in {place}")
    say()


def _place(row: Row) -> str:
    if row["pod_name"] or row["container_id"]:
        return where(row)
    known = not str(row.get("source", "")).endswith(UNPLACED)
    return f"node ({row['owner']})" if known else f"place not known ({row['owner']})"


def _counts(tables: Mapping[str, Sequence[Row]]) -> str:
    processes = tables.get("processes", ())
    states = Counter(row["state"] for row in tables.get("containers", ()))
    if "namespaces" not in tables:  # of a collected pod or a checkpoint
        containers = counted(len(tables.get("containers", ())), "container")
        return f"{counted(len(processes), 'process', 'processes')} in {containers}"
    inside = sum(bool(row["in_container"]) for row in processes)
    kernel = sum(row["kernel_thread"] for row in processes)
    containers = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    threads = counted(kernel, "kernel thread")
    return ", ".join((
        f"{counted(len(processes), 'process', 'processes')} ({inside} in containers, {threads})",
        f"{counted(states.total(), 'container')} ({containers or 'none'})",
        counted(len(tables.get("pods", ())), "pod"),
        counted(len(tables.get("namespaces", ())), "namespace"),
    ))  # fmt: skip
