# SPDX-License-Identifier: Apache-2.0
"""On every image: each process that /proc showed comes out with the same values.

What differs must be explained by time or by what the kernel hides from /proc, process by process.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from memir.kernel import timekeeping
from memir.kube.ram import RamSource
from tests.images import Truth, case
from tests.rows import rows_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NodeOf = Callable[[str], RamSource]
COLUMNS = ("ppid", "uid", "cap_effective", "seccomp", "nspid", "namespaces", "cgroups", "exe", "args", "environ")
# commands that the recorder itself ran, and loops whose child ends and starts anew all the time
RECORDER = re.compile(r"^(/bin/truth|python3 /root/truth\.py|sshd: root@notty.*)$")
SLEEPER = re.compile(r"^sleep (30|60)$")


def words(args: list[str] | None) -> str:
    return " ".join(args or []).strip()


def by_pid(node: RamSource) -> dict[int, dict[str, Any]]:
    """Rows of the table by pid, with what it masks as memory has it: that it is masked other tests say."""
    clear = {process.pid: {"args": process.args, "environ": process.environ} for process in node.processes.rows}
    return {row["pid"]: row | clear[row["pid"]] for row in rows_of(node, "processes")["processes"]}


def seen(row: dict[str, Any], truth: Truth) -> dict[str, Any]:
    """A row in the recording's terms."""
    return {
        "ppid": row["ppid"],
        "uid": row["uid"],
        "cap_effective": row["cap_effective"],
        "seccomp": row["seccomp"] if truth.seccomp is not None else None,
        "nspid": row["pids"],
        "namespaces": {kind: row[f"{kind}_ns"] for kind, inum in truth.namespaces.items() if inum},
        "cgroups": sorted(row["cgroups"] or []),
        "exe": None if row["exe"] is None else row["exe"] + (" (deleted)" if row["exe_deleted"] else ""),
        "args": row["args"],
        "environ": row["environ"] if truth.environ is not None else None,
    }


def told(truth: Truth) -> dict[str, Any]:
    return {
        "ppid": truth.ppid,
        "uid": truth.uid,
        "cap_effective": truth.cap_effective,
        "seccomp": truth.seccomp,
        "nspid": truth.nspid,
        "namespaces": {kind: inum for kind, inum in truth.namespaces.items() if inum},
        "cgroups": sorted(truth.cgroups),
        "exe": truth.exe,
        "args": truth.args,
        "environ": truth.environ,
    }


def same_name(row: dict[str, Any], truth: Truth) -> bool:
    """A workqueue's worker says what it works on, which changes by the millisecond."""
    if row["comm"] == truth.comm:
        return True
    worker = re.match(r"(kworker/[^-+]+)[-+]", truth.comm)
    return row["kernel_thread"] and worker is not None and re.split(r"[-+]", row["comm"])[0] == worker[1]


def test_every_process_of_the_recording(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    rows = by_pid(node)
    recorded = case(image).recorded()
    assert recorded, "the recording is empty"
    wrong = []
    for pid, truth in recorded.items():
        row = rows.get(pid)
        if row is None:
            ended = RECORDER.match(words(truth.args)) or SLEEPER.match(words(truth.args)) or is_worker(truth)
            assert ended, f"{image}: pid {pid} {truth.comm} {truth.args} is not found"
            continue
        if not same_name(row, truth):
            wrong.append((pid, "comm", row["comm"], truth.comm))
        got, want = seen(row, truth), told(truth)
        for column in COLUMNS:
            if got[column] != want[column] and not explained(node, row, truth, column):
                wrong.append((pid, column, got[column], want[column]))
    assert wrong == []


def is_worker(truth: Truth) -> bool:
    """Workers come and go with the work."""
    return truth.kernel_thread and truth.comm.startswith("kworker/")


def explained(node: RamSource, row: dict[str, Any], truth: Truth, column: str) -> bool:
    """The known reasons for which /proc says something else."""
    if column == "cgroups" and row["state"] in "ZX":
        # /proc shows a task that is ending at / of each v1 hierarchy; its css_set still knows better
        shown = [re.sub(r"^([1-9][0-9]*:[^:]*:).*", r"\1/", line) for line in row["cgroups"]]
        return sorted(shown) == sorted(truth.cgroups)
    if column in ("args", "environ") and row[column] is None and not getattr(truth, column):
        # the process unmapped this memory: /proc shows nothing, memir says that it could not be read
        return any(gap.kind == column and gap.why == "page not in RAM" for gap in node.kernel.gaps)
    return False


def test_nothing_but_what_started_later(image: str, node_of: NodeOf) -> None:
    rows = by_pid(node_of(image))
    recorded = case(image).recorded()
    latest = max(row["start_time"] for pid, row in rows.items() if pid in recorded)
    for pid in rows.keys() - recorded.keys():
        assert rows[pid]["start_time"] > latest, f"{image}: pid {pid} {rows[pid]['comm']} was not recorded"


def test_start_times(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    boot, _ = timekeeping.clocks(node.kernel)
    assert boot is not None
    recorded = case(image).recorded() if case(image).small else {}
    shown = by_pid(node)
    for process in node.processes.rows:
        truth = recorded.get(process.pid)
        if truth is not None and truth.start_ticks is not None:
            assert process.start is not None
            assert (process.start - boot) // 10_000_000 == truth.start_ticks, f"pid {process.pid}"
            microseconds = (shown[process.pid]["start_time"] - EPOCH) // timedelta(microseconds=1)
            assert microseconds == process.start // 1000


def test_kernel_threads_are_told_apart(image: str, node_of: NodeOf) -> None:
    rows = by_pid(node_of(image))
    for pid, truth in case(image).recorded().items():
        row = rows.get(pid)
        if row is not None and row["state"] not in "ZX":  # an ended process looks like a kernel thread to the recorder
            assert row["kernel_thread"] == truth.kernel_thread, f"pid {pid} {truth.comm}"


def _expected_ids(image: str) -> dict[str, tuple[str | None, ...]]:
    """(pod UID, pod name, namespace, container name) by container id, as the node itself told."""
    raw = case(image).raw_truth()
    if case(image).small:
        return {
            one["id"]: (one["uid"], one["pod"], one["ns"], None if one["sandbox"] else one["container"])
            for one in [*raw["pod"], *raw["ended"]]
        } | {one["id"]: (None, None, None, one["name"]) for one in raw["container"]}
    found = {}
    for one in raw["containers"]:
        labels = one.get("Labels") or {}
        keys = ("pod.uid", "pod.name", "pod.namespace", "container.name")
        found[one["ID"]] = tuple(labels.get(f"io.kubernetes.{key}") for key in keys)
    return found


def test_containers_and_pods_of_processes(image: str, node_of: NodeOf) -> None:
    expected = _expected_ids(image)
    rows = by_pid(node_of(image))
    checked = 0
    for pid, truth in case(image).recorded().items():
        row = rows.get(pid)
        named = re.findall(r"[0-9a-f]{64}", " ".join(truth.cgroups))
        if row is None or not named or named[-1] not in expected:
            continue
        assert row["container_id"] == named[-1], f"pid {pid}"
        names = tuple(row[column] for column in ("pod_uid", "pod_name", "namespace", "container_name"))
        assert names == expected[named[-1]], f"pid {pid}"
        assert row["in_container"]
        checked += 1
    assert checked >= len([one for one in expected.values() if one[0]]) // 2, "hardly a process was checked"


def test_containers_table(image: str, node_of: NodeOf) -> None:
    """Every container that the node itself knew is listed, with its init process where it told one."""
    rows = {row["container_id"]: row for row in rows_of(node_of(image), "containers")["containers"]}
    for container, (uid, pod, namespace, name) in _expected_ids(image).items():
        row = rows[container]
        assert (row["pod_uid"], row["pod_name"], row["namespace"]) == (uid, pod, namespace)
        assert row["container_name"] == name or uid is None
    raw = case(image).raw_truth()
    if case(image).small:
        for one in raw["ended"]:
            assert (rows[one["id"]]["init_pid"], rows[one["id"]]["state"]) == (None, "exited")
        for one in raw["container"]:
            assert (rows[one["id"]]["init_pid"], rows[one["id"]]["state"]) == (one["pid"], "running")
        for one in raw["pod"]:
            row = rows[one["id"]]
            assert (row["init_pid"], row["state"], row["cgroup_path"]) == (one["pid"], "running", one["cgroup"])
            assert row["kind"] == ("sandbox" if one["sandbox"] else "container")
            assert (row["overlay_upper"], row["overlay_lower"]) == (one["upper"], one["lower"].split(":"))
    else:
        for container, state in raw["runc"].items():
            if state is None:
                assert (rows[container]["state"], rows[container]["init_pid"]) == ("exited", None)
            else:
                assert (rows[container]["state"], rows[container]["init_pid"]) == ("running", state["init_process_pid"])


def test_no_pod_is_invented(image: str, node_of: NodeOf) -> None:
    uids = {uid for uid, *_ in _expected_ids(image).values() if uid}
    uids |= {one["pod_uid"] for one in case(image).labels()["pods"]}  # a cgroup was made to say so
    rows = rows_of(node_of(image), "pods")["pods"]
    # a deleted pod that memory is charged to: tests/tables/test_recorded_acts.py
    assert {row["pod_uid"] for row in rows if row["source"] != "removed cgroup"} == uids
