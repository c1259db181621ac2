# SPDX-License-Identifier: Apache-2.0
"""Processes, their threads, namespaces, cgroups, containers, pods and regions, as /proc and the runtime told them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memir.kernel import timekeeping
from memir.kube.ram import RamSource
from tests.agreement.compare import MEMIR_ALONE, TRUTH_ALONE, Key, Row, Rows, Told
from tests.images import Truth, case
from tests.tables.test_files import listed
from tests.tables.test_threads import recorded_threads
from tests.tables.test_vmas import recorded as regions
from tests.tables.test_vmas import shown as region
from tests.test_truth import (
    RECORDER,
    SLEEPER,
    _expected_ids,
    by_pid,
    explained,
    is_worker,
    same_name,
    seen,
    told,
    words,
)

ENDED = "a command of the recording itself, or of a loop, has ended"
STARTED = "started after the recording"
WORKER = "a kernel worker comes and goes, and is named after its work"


def went(truth: Truth) -> str:
    """Why a process of the recording may be gone."""
    if RECORDER.match(words(truth.args)) or SLEEPER.match(words(truth.args)):
        return ENDED
    return WORKER if is_worker(truth) else ""


def processes(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    shown, recorded = by_pid(node), case(image).recorded()
    boot, _ = timekeeping.clocks(node.kernel)
    started = {row.pid: row.start for row in node.processes.rows}
    latest = max(row["start_time"] for pid, row in shown.items() if pid in recorded)

    def ticks(pid: int, truth: Truth) -> int | None:
        start = started[pid]
        return None if truth.start_ticks is None or start is None or boot is None else (start - boot) // 10_000_000

    def why(key: Key, where: str, _truth: Row | None, _memir: Row | None) -> str:
        (pid,) = key
        if where == MEMIR_ALONE:
            return STARTED if shown[pid]["start_time"] > latest else ""
        truth = recorded[pid]
        if where == TRUTH_ALONE:
            return went(truth)
        if where == "comm":
            return WORKER if same_name(shown[pid], truth) else ""
        if explained(node, shown[pid], truth, where):
            return ("it has unmapped this memory, which /proc shows as empty" if where in ("args", "environ")
                    else "/proc shows a task that is ending at / of each hierarchy")  # fmt: skip
        return ""

    every = {
        (pid,): {**told(truth), "comm": truth.comm, "start": truth.start_ticks} for pid, truth in recorded.items()
    }
    mine = {
        (pid,): {**seen(row, recorded[pid]), "comm": row["comm"], "start": ticks(pid, recorded[pid])}
        if pid in recorded else row
        for pid, row in shown.items()
    }  # fmt: skip
    yield Told("processes", "/proc/PID", every, mine, why)


def threads(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    recorded = case(image).recorded()
    there = {row.pid for row in node.processes.rows}
    ids: dict[int, set[int]] = {}
    for row in rows("threads"):
        ids.setdefault(row["pid"], set()).add(row["tid"])
    every: dict[Key, Row] = {}
    mine: dict[Key, Row] = {}
    for pid, told_of in recorded_threads(image).items():
        if pid not in there or went(recorded[pid]):
            continue
        if isinstance(told_of, set):
            every |= {(pid, tid): {} for tid in told_of}
            mine |= {(pid, tid): {} for tid in ids.get(pid, ())}
        else:
            every[pid,] = {"threads": told_of}
            mine[pid,] = {"threads": len(ids.get(pid, ()))}

    def why(_key: Key, where: str, truth: Row | None, memir: Row | None) -> str:
        more = where == "threads" and truth is not None and memir is not None and memir["threads"] > truth["threads"]
        return "a runtime has started threads since" if more else ""

    yield Told("threads", "/proc/PID/task", every, mine, why)


def namespaces(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    alive = {row.pid for row in node.processes.rows if row.state not in "ZX"}
    recorded = case(image).recorded()
    every: dict[Key, Row] = {
        (kind, inum, pid): {}
        for pid, truth in recorded.items()
        for kind, inum in truth.namespaces.items()
        if inum and pid in alive
    }
    told_of = {(kind, pid) for kind, _, pid in every}
    mine: dict[Key, Row] = {
        (row["kind"], row["inum"], pid): {}
        for row in rows("namespaces")
        for pid in row["pids"]
        if (row["kind"], pid) in told_of
    }
    yield Told("namespaces", "/proc/PID/ns", every, mine)


def cgroups(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    """Each cgroup that a process was in; those with processes alone are looked at the other way."""
    recorded = case(image).recorded()
    every: dict[Key, Row] = {}
    for truth in recorded.values():
        for line in truth.cgroups:
            number, _, path = line.split(":", 2)
            every[int(number), path] = {}
    mine: dict[Key, Row] = {(row["hierarchy"], row["path"]): {} for row in rows("cgroups")
            if row["processes"] or (row["hierarchy"], row["path"]) in every}  # fmt: skip
    yield Told("cgroups", "/proc/PID/cgroup", every, mine)


def containers(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    raw = case(image).raw_truth()
    every: dict[Key, dict[str, Any]] = {}
    for ident, (uid, pod, namespace, name) in _expected_ids(image).items():
        every[ident,] = {"pod_uid": uid, "pod_name": pod, "namespace": namespace}
        if uid is not None:
            every[ident,]["container_name"] = name
    if case(image).small:
        for one in raw["ended"]:
            every[one["id"],] |= {"init_pid": None, "state": "exited"}
        for one in [*raw["container"], *raw["pod"]]:
            every[one["id"],] |= {"init_pid": one["pid"], "state": "running"}
        for one in raw["pod"]:
            every[one["id"],] |= {
                "kind": "sandbox" if one["sandbox"] else "container", "cgroup_path": one["cgroup"],
                "overlay_upper": one["upper"], "overlay_lower": one["lower"].split(":"),
            }  # fmt: skip
    else:
        for ident, state in raw["runc"].items():
            pid = state["init_process_pid"] if state else None
            every[ident,] |= {"init_pid": pid, "state": "running" if state else "exited"}
    spoofed = {one["pod_uid"] for one in case(image).labels()["pods"]}

    def why(_key: Key, where: str, _truth: Row | None, memir: Row | None) -> str:
        made = where == MEMIR_ALONE and memir is not None and memir["pod_uid"] in spoofed
        return "of a cgroup that somebody made to look like a pod's (its labels say so)" if made else ""

    yield Told("containers", "the runtime", every, {(row["container_id"],): row for row in rows("containers")}, why)


def pods(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    every: dict[Key, Row] = {
        (uid,): {"pod_name": pod, "namespace": namespace}
        for uid, pod, namespace, _ in _expected_ids(image).values()
        if uid
    }
    every |= {(pod["pod_uid"],): {"pod_name": pod["pod_name"]} for pod in case(image).labels()["pods"]
              if (pod["pod_uid"],) not in every}  # fmt: skip

    def why(_key: Key, where: str, _truth: Row | None, memir: Row | None) -> str:
        gone = where == MEMIR_ALONE and memir is not None and memir["removed"]
        return "of a pod that has been deleted: memory is charged to it still" if gone else ""

    yield Told("pods", "the runtime", every, {(row["pod_uid"],): row for row in rows("pods")}, why)


_REGION = ("end", "permissions", "offset", "device", "inode", "path")


def _starts(regions: Mapping[Key, Row]) -> dict[Key, int]:
    """Start of each without a file, by pid, end and permissions."""
    return {(key[0], row["end"], row["permissions"]): key[1] for key, row in regions.items() if row["device"] == "0:0"}


def vmas(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    every: dict[Key, Row] = {}
    for entry in listed(image, node):
        every |= {(entry["pid"], line[0]): dict(zip(_REGION, line[1:], strict=True)) for line in regions(entry)}
    pids = {pid for pid, _ in every}
    mine = {
        (row["pid"], row["start"]): dict(zip(_REGION, region(row)[1:], strict=True))
        for row in rows("vmas")
        if row["pid"] in pids
    }
    told_of = recorded_threads(image)
    now = {row.pid: row.threads for row in node.processes.rows}

    recorded_at, since = _starts(every), _starts(mine)
    added_below = {place for place in recorded_at.keys() & since if since[place] < recorded_at[place]}

    def why(key: Key, where: str, truth: Row | None, memir: Row | None) -> str:
        before = told_of[key[0]]
        grown = not isinstance(before, set) and (now[key[0]] or 0) > before
        if where == MEMIR_ALONE and grown:
            return "of a runtime that has started threads since"
        row = truth or memir
        if row and where in (TRUTH_ALONE, MEMIR_ALONE) and _starts({key: row}).keys() & added_below:
            return "memory without a file, to which its process has added below since"
        if where == "end" and truth and memir and truth["device"] == "0:0" and memir["end"] > truth["end"]:
            return "memory without a file, to which its process has added above since"
        return ""

    yield Told("vmas", "/proc/PID/maps", every, mine, why)


TELLERS = (processes, threads, namespaces, cgroups, containers, pods, vmas)
