# SPDX-License-Identifier: Apache-2.0
"""Workloads of pods by their owners, by the other case, by their names."""

from __future__ import annotations

from typing import Any

import pytest

from memir.case.workload import workload, workloads


def pod(uid: str, name: str | None, owner: str | None = None, namespace: str | None = "shop") -> dict[str, Any]:
    return {"pod_uid": uid, "namespace": namespace, "pod_name": name, "owner": owner}


@pytest.mark.parametrize(
    ("owner", "name", "expected"),
    [
        ("ReplicaSet/api-58f6c9d7b4", "api-58f6c9d7b4-q8xkz", "Deployment/api"),
        ("Job/backup-29384756", "backup-29384756-x2x4z", "Job/backup"),
        ("Job/migrate", "migrate-w57gd", "Job/migrate"),
        ("Node/ip-10-0-1-23", "kube-proxy-ip-10-0-1-23", "kube-proxy"),
        ("DaemonSet/agent", "agent-x9z2k", "DaemonSet/agent"),
    ],
)
def test_by_its_owner(owner: str, name: str, expected: str) -> None:
    assert workload(owner, name) == expected


def test_what_one_case_knows_counts_for_both() -> None:
    with_api = [pod("1", "miner-0", "StatefulSet/miner", "dev"), pod("2", "agent-x9z2k", "DaemonSet/agent")]
    without = [pod("1", "miner-0", None, "dev"), pod("9", "agent-b7c8d"), pod("3", None, None, None)]
    named = {"1": "StatefulSet/miner", "9": "DaemonSet/agent", "3": "pod 3"}
    assert workloads(without, with_api) == (named, {"1": "StatefulSet/miner", "2": "DaemonSet/agent"})
    assert workloads(with_api, without)[1] == named


def test_names_decide_where_nobody_knows() -> None:
    rows = [pod("1", "web-5f6d8b9c7-x2x4z"), pod("2", "web-7d4b9c6f5-abcde"), pod("3", "toolbox")]
    named = {"1": "Deployment/web", "2": "web-7d4b9c6f5-abcde", "3": "toolbox"}
    assert workloads(rows, []) == (named, {})


def test_a_name_that_two_workloads_may_give_is_neither() -> None:
    known = [pod("7", "web-1", "StatefulSet/web"), pod("8", "web-x2x4z", "DaemonSet/web"),
             pod("9", "web-b7c8d", "ReplicaSet/web")]  # fmt: skip
    assert workloads([pod("1", "web-2")], known)[0] == {"1": "StatefulSet/web"}
    both = [pod("8", "web-x2x4z", "DaemonSet/web"), pod("9", "web-b7c8d", "Job/web")]
    assert workloads([pod("1", "web-z9z8z")], both)[0] == {"1": "web-z9z8z"}
    assert workloads([pod("1", "web-2", None, "dev")], known)[0] == {"1": "web-2"}
