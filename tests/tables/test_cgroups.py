# SPDX-License-Identifier: Apache-2.0
"""Cgroups: every one that /proc showed a process in, with the limits that Kubernetes asked for, and its pod."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from memir.kube.ram import RamSource
from memir.tables.cgroups import TABLE, read
from tests.damage import rewritten
from tests.images import case

NodeOf = Callable[[str], RamSource]
_UNITS = {"Mi": 1 << 20, "Gi": 1 << 30, "Ki": 1 << 10}


def test_every_cgroup_of_proc(image: str, node_of: NodeOf) -> None:
    """Each line of /proc/PID/cgroup is a row; processes are counted where they are."""
    node = node_of(image)
    rows = {(row["hierarchy"], row["path"]): row for row in TABLE.read(node).rows()}
    recorded = case(image).recorded()
    inside: Counter[tuple[int, str]] = Counter()
    for pid, truth in recorded.items():
        for line in truth.cgroups:
            number, _, path = line.split(":", 2)
            assert (int(number), path) in rows, f"pid {pid}"
            inside[int(number), path] += 1
    shown = {key: row["processes"] for key, row in rows.items() if row["processes"]}
    # the recorder has ended, a loop's command has started, kernel threads come and go
    moved = {key for key in shown.keys() | inside.keys() if abs(shown.get(key, 0) - inside[key]) > 2}
    assert {path for _, path in moved} <= {"/", "/user.slice/user-0.slice"}
    assert sum(shown.values()) >= 20


def test_owners(image: str, node_of: NodeOf) -> None:
    """A path that names a container is its row, one that names a pod is the pod's, in use or not."""
    rows = TABLE.read(node_of(image)).rows()
    named = 0
    for row in rows:
        containers = re.findall(r"[0-9a-f]{64}", row["path"])
        pods = re.findall(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})", row["path"])
        if containers:
            assert row["container_id"] == containers[-1]
        if pods:
            assert row["pod_uid"] == pods[-1].replace("_", "-")
            named += 1
        if row["path"] in ("/", "/system.slice", "/kubepods.slice", "/init.scope"):
            assert (row["container_id"], row["pod_uid"], row["shared_by"]) == (None, None, None)
    assert named >= 6
    assert all(row["level"] or row["memory"] is None for row in rows)


def test_limits_are_those_of_the_pods(image: str, node_of: NodeOf) -> None:
    path = case(image).beside("pods.json")
    if not path.is_file() or not image.startswith("node-"):
        return
    rows = {row["container_id"]: row for row in TABLE.read(node_of(image)).rows() if row["container_id"]}
    checked = 0
    for pod in json.loads(path.read_text())["items"]:
        limits = {spec["name"]: spec.get("resources", {}).get("limits", {}) for spec in pod["spec"]["containers"]}
        for status in pod["status"].get("containerStatuses", []):
            row = rows.get(status["containerID"].rpartition("/")[2])
            if row is None:
                continue
            limit = limits[status["name"]]
            memory, cpu = limit.get("memory"), limit.get("cpu")
            assert row["memory_max"] == (int(memory[:-2]) * _UNITS[memory[-2:]] if memory else -1)
            assert row["cpu_quota"] == (int(cpu[:-1]) * 100 if cpu else -1)
            checked += 1
    assert checked == 8  # of nine, one has ended
    every: list[dict[str, Any]] = TABLE.read(node_of(image)).rows()
    assert len(every) == 52
    ledger = next(row for row in every if row["pod_name"] == "ledger" and row["container_id"] is None)
    # as its cpu.stat said
    assert (ledger["memory_max"], ledger["cpu_quota"], ledger["cpu_period"]) == (32 << 20, 5000, 100_000)
    assert (ledger["cpu_throttled"], ledger["oom_kills"], ledger["frozen"]) == (168, 0, False)
    # units that ran once while the machine started, and left pages behind
    assert {row["path"].rpartition("/")[2] for row in every if row["dying"]} == {
        "kmod-static-nodes.service", "systemd-random-seed.service", "systemd-update-utmp.service",
    }  # fmt: skip


def test_rows_are_in_order(node_of: NodeOf) -> None:
    frame = read(node_of("s-5.10-small-v1"))
    keys = list(zip(frame["hierarchy"], frame["path"], strict=True))
    assert keys == sorted(keys) and {number for number, _ in keys} == {0, 1, 2, 3, 4}
    assert frame.keys == frame["path"]


def test_a_process_that_has_ended_is_not_counted(node_of: NodeOf) -> None:
    """cgroup.procs does not have it, though /proc/PID/cgroup of a zombie does."""
    node = node_of("s-6.12-intruded")
    process = next(row for row in node.processes.rows if row.threads == 1 and not row.kernel_thread and row.alive)
    assert process.cgroups is not None
    path = process.cgroups.rows[0][2]
    place = process.task + node.kernel.types.offset("task_struct", "exit_state")
    ended = RamSource(rewritten(node.kernel, {place: (32).to_bytes(4, "little")}))  # EXIT_ZOMBIE
    before, after = ({row["path"]: row["processes"] for row in TABLE.read(source).rows()} for source in (node, ended))
    assert after == before | {path: before[path] - 1}
