"""An analysis as a person reads it in a terminal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from memir.report.oddities import Oddity, Row, where
from memir.text import safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree

_MAX_PROCESSES = 12


def print_summary(
    out: Console, record: Mapping[str, Any], tables: Mapping[str, Sequence[Row]], odd: Sequence[Oddity]
) -> None:
    """Node, counts, tree of namespaces, pods, containers and processes, oddities, gaps. Everything is made safe."""
    kernel = record["kernel"]
    out.print(f"Node        {safe(str(record['node'] or 'name not known'))}")
    out.print(f"Kernel      {safe(kernel['release'])} {kernel['arch']}, {kernel['paging_levels']}-level paging")
    out.print(f"Evidence    {safe(record['evidence']['image'])} ({safe(record['evidence']['format'])})")
    out.print(f"Counts      {_counts(tables)}")
    out.print()
    out.print(_tree(tables))
    out.print()
    out.print(f"Oddities ({len(odd)})" if odd else "Oddities: none of those memir looks for")
    for one in odd:
        out.print(f"  {safe(one.kind)}: {safe(one.text, 400)}")
    out.print()
    if "hits" in tables:
        _hits(out, tables["hits"])
    gaps = record["gaps"]
    if not gaps:
        out.print("Gaps: none: everything that was looked for could be read")
        return
    out.print(f"Gaps ({sum(gap['count'] for gap in gaps)}): what could not be read is not in the tables")
    for gap in gaps:
        out.print(f"  {gap['count']:>6}  {safe(gap['kind'])}: {safe(gap['why'])}, e.g. {safe(gap['where'], 120)}")


def _hits(out: Console, rows: Sequence[Row]) -> None:
    """Hits by rule and place."""
    places = Counter(
        (row["rule"], where(row) if row["pod_name"] or row["container_id"] else f"node ({row['owner']})")
        for row in rows
    )
    out.print(f"Hits ({len({row['hit_id'] for row in rows})})" if rows else "Hits: none")
    for (rule, place), count in sorted(places.items()):
        out.print(f"  {count:>6}  {safe(rule)} in {safe(place)}")
    out.print()


def _counts(tables: Mapping[str, Sequence[Row]]) -> str:
    processes = tables["processes"]
    states = Counter(row["state"] for row in tables["containers"])
    inside = sum(bool(row["in_container"]) for row in processes)
    kernel = sum(row["kernel_thread"] for row in processes)
    containers = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return (
        f"{len(processes)} processes ({inside} in containers, {kernel} kernel threads), "
        f"{len(tables['containers'])} containers ({containers or 'none'}), {len(tables['pods'])} pods, "
        f"{len(tables['namespaces'])} namespaces"
    )


def _tree(tables: Mapping[str, Sequence[Row]]) -> Tree:
    from rich.tree import Tree

    by_container: dict[str, list[Row]] = defaultdict(list)
    by_pod: dict[str, list[Row]] = defaultdict(list)
    node: list[Row] = []
    for row in tables["processes"]:
        if row["container_id"]:
            by_container[row["container_id"]].append(row)
        elif row["pod_uid"]:
            by_pod[row["pod_uid"]].append(row)
        elif not row["kernel_thread"]:
            node.append(row)
    root = Tree("Pods")
    branches: dict[str, Tree] = {}
    containers: dict[str | None, list[Row]] = defaultdict(list)
    for row in tables["containers"]:
        containers[row["pod_uid"]].append(row)
    for pod in tables["pods"]:
        name = pod["namespace"] or "namespace not known"
        branch = branches.setdefault(name, root.add(safe(name)) if name not in branches else branches[name])
        seen = {"api": ", seen by the API only", "both": "", "ram": ""}[pod["seen_in"]]
        leaf = branch.add(f"{safe(pod['pod_name'] or pod['pod_uid'])} [{safe(pod['qos'] or 'QoS not known')}{seen}]")
        for container in containers[pod["pod_uid"]]:
            _container(leaf, container, by_container[container["container_id"]])
        for row in by_pod[pod["pod_uid"]]:
            leaf.add(_process(row))
    loose = containers[None]
    if loose:
        branch = root.add("containers without a pod")
        for container in loose:
            _container(branch, container, by_container[container["container_id"]])
    branch = root.add(f"the node itself: {len(node)} processes")
    for row in node[:_MAX_PROCESSES]:
        branch.add(_process(row))
    if len(node) > _MAX_PROCESSES:
        branch.add(f"... and {len(node) - _MAX_PROCESSES} more")
    return root


def _container(branch: Tree, container: Row, processes: Sequence[Row]) -> None:
    name = (
        "sandbox" if container["kind"] == "sandbox" else container["container_name"] or container["container_id"][:12]
    )
    image = f" {container['image']}" if container["image"] else ""
    leaf = branch.add(f"{safe(name)} {container['state']}{safe(image)}")
    if container["kind"] == "sandbox" and len(processes) == 1:
        return
    for row in processes[:_MAX_PROCESSES]:
        leaf.add(_process(row))
    if len(processes) > _MAX_PROCESSES:
        leaf.add(f"... and {len(processes) - _MAX_PROCESSES} more")


def _process(row: Row) -> str:
    words = " ".join(row["args"]) if row["args"] else f"[{row['comm']}]"
    inside = f" ({row['pid_in_container']} inside)" if row["pid_in_container"] not in (None, row["pid"]) else ""
    marks = []
    if row["exe_deleted"]:
        marks.append("memfd" if (row["exe"] or "").startswith("/memfd:") else "deleted")
    if row["disagreements"]:
        marks.append("witnesses disagree")
    mark = f"({', '.join(marks)}) " if marks else ""
    return f"{row['pid']}{inside} {mark}{safe(words, 90)}"
