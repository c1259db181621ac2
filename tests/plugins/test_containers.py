# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Containers with their pods, as the recording has them."""

from __future__ import annotations

from memir.kube.ram import RamSource
from tests.images import case
from tests.plugins.running import SMALL, rows_by_plugin


def test_containers_of_pods(node: RamSource) -> None:
    truth = {pod["id"]: pod for pod in case(SMALL).raw_truth()["pod"]}
    rows = {row["container_id"]: row for row in rows_by_plugin(node, "linux.containers")}
    assert truth and set(truth) <= set(rows)
    for container_id, pod in truth.items():
        row = rows[container_id]
        assert (row["namespace"], row["pod_name"], row["init_pid"]) == (pod["ns"], pod["pod"], pod["pid"])
        assert row["cgroup_path"] == pod["cgroup"]
        assert row["kind"] == ("sandbox" if pod["sandbox"] else "container")
