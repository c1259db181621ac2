# SPDX-License-Identifier: Apache-2.0
"""The tree of pods: three places a process can be in, ages, arguments that are bounded but not cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memir.report.tree import Branch, arguments, moment_of, pod_tree, process_line, start_of

CLOCK = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def process(pid: int, **values: Any) -> dict[str, Any]:
    return {
        "pid": pid, "comm": "sh", "args": ["sh"], "exe": "/bin/sh", "exe_deleted": False, "kernel_thread": False,
        "container_id": None, "pod_uid": None, "in_container": False, "pid_in_container": None, "disagreements": [],
        "start_time": None, **values,
    }  # fmt: skip


def tables(processes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "processes": processes,
        "pods": [{"pod_uid": "u1", "pod_name": "web", "namespace": "shop", "qos": "Burstable", "seen_in": "ram"},
                 {"pod_uid": "u2", "pod_name": "gone", "namespace": "shop", "qos": None, "seen_in": "api"}],
        "containers": [
            {"container_id": "c1", "pod_uid": "u1", "kind": "container", "container_name": "app", "state": "running",
             "image": "img:1"},
            {"container_id": "c2", "pod_uid": None, "kind": "unknown", "container_name": None, "state": "exited",
             "image": None},
        ],
    }  # fmt: skip


def test_three_places() -> None:
    lines = list(
        pod_tree(
            tables(
                [
                    process(1),
                    process(2, in_container=None, comm="x"),
                    process(3, container_id="c1", pod_uid="u1", in_container=True, pid_in_container=1),
                    process(4, kernel_thread=True),
                ]
            )
        )
    )
    assert lines == [
        "Pods",
        "├── shop",
        "│   ├── web [Burstable]",
        "│   │   └── app running img:1",
        "│   │       └── 3 (1 inside) sh",
        "│   └── gone [QoS not known, seen by the API only]",
        "├── containers without a pod",
        "│   └── c2 exited",
        "├── the node itself: 1 process",
        "│   └── 1 sh",
        "└── place not known (in a container or not): 1 process",
        "    └── 2 sh",
    ]


def test_a_moment_of_a_table() -> None:
    assert moment_of(None) is None
    assert moment_of(CLOCK) is CLOCK
    assert moment_of(int(CLOCK.timestamp()) * 10**9 + 5_999) == CLOCK + timedelta(microseconds=5)


def test_what_is_known_of_pods_and_of_how_containers_ended() -> None:
    ended = datetime(2026, 1, 2, 3, 0, 7, tzinfo=UTC)
    pod: dict[str, Any] = {
        "pod_uid": "u", "pod_name": "orders", "namespace": "shop", "qos": "Burstable", "seen_in": "both",
        "phase": "Failed", "owner": "ReplicaSet/orders-1", "service_account": "orders",
        "iam_role": "arn:aws:iam::111122223333:role/orders", "deleted_at": int(ended.timestamp()) * 10**9,
    }  # fmt: skip
    plain = pod | {"pod_name": "plain", "pod_uid": "p", "phase": "Running", "owner": None, "deleted_at": None}
    plain |= {"service_account": "default", "iam_role": None}
    told: list[dict[str, Any]] = [
        {"kind": "init", "container_name": "migrate", "state": "exited", "exit_code": 0, "reason": "Completed",
         "finished_at": ended},
        {"kind": "sidecar", "container_name": "ship", "state": "running"},
        {"kind": "container", "container_name": "app", "state": "exited", "image": "img:1", "exit_code": 137,
         "reason": "OOMKilled", "restarts": 4},
        {"kind": "ephemeral", "container_name": "debugger", "state": "running", "restarts": 1},
    ]  # fmt: skip
    unknown = {"pod_uid": "u", "image": None, "exit_code": None, "reason": None, "finished_at": None, "restarts": 0}
    containers = [{"container_id": f"c{number}", **unknown, **values} for number, values in enumerate(told)]
    lines = list(pod_tree({"pods": [pod, plain], "containers": containers}))
    assert lines[2:8] == [
        "│   ├── orders [Burstable, Failed, of ReplicaSet/orders-1, service account orders, IAM role "
        "arn:aws:iam::111122223333:role/orders, being deleted, by 2026-01-02 03:00:07]",
        "│   │   ├── migrate init exited (exit code 0, Completed, ended 2026-01-02 03:00:07)",
        "│   │   ├── ship sidecar running",
        "│   │   ├── app exited img:1 (exit code 137, OOMKilled, 4 restarts)",
        "│   │   └── debugger ephemeral running (1 restart)",
        "│   └── plain [Burstable]",
    ]


def test_no_third_branch_where_all_is_known() -> None:
    assert not any("place not known" in line for line in pod_tree(tables([process(1)])))


def test_many_processes_are_counted() -> None:
    lines = list(pod_tree(tables([process(pid) for pid in range(1, 31)])))
    assert lines[-1] == "    └── ... and 18 more"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({}, "7 sh"),
        ({"args": None, "comm": "kworker"}, "7 [kworker]"),
        ({"exe_deleted": True}, "7 (deleted) sh"),
        ({"exe_deleted": True, "exe": "/memfd:x", "disagreements": ["a"]}, "7 (memfd, witnesses disagree) sh"),
        ({"start_time": CLOCK - timedelta(hours=3, minutes=2)}, "7 [3 h 2 min] sh"),
        ({"start_time": int((CLOCK - timedelta(seconds=5)).timestamp()) * 10**9}, "7 [5 s] sh"),
    ],
)
def test_process_line(values: dict[str, Any], line: str) -> None:
    assert process_line(process(7, **values), CLOCK) == line


def test_start_of() -> None:
    assert start_of({"start_time": None}) is None
    assert start_of({"start_time": 1_500_000_000}) == datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC)


def test_arguments_are_whole() -> None:
    words = [f"--file=/data/{'x' * 30}/{number}" for number in range(9)]
    shown = arguments(words)
    assert shown == " ".join(words[:3]) + " … (6 more arguments)"
    assert arguments(["a" * 500]) == "a" * 399 + "…"
    assert arguments(["/bin/sh", "-c"]) == "/bin/sh -c"


def test_hostile_text_is_safe() -> None:
    root = Branch("a\x1b")
    root.add("b\n").add("c\u202e")
    assert list(root.lines()) == ["a\\e", "└── b\\n", "    └── c\\u202e"]
