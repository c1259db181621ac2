# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Pods by name, namespace and UID, as the recording has them."""

from __future__ import annotations

from memir.kube.ram import RamSource
from tests.images import case
from tests.plugins.running import PODS, SMALL, rows_by_plugin


def test_pods(node: RamSource) -> None:
    truth = {(pod["ns"], pod["pod"], pod["uid"]) for pod in case(SMALL).raw_truth()["pod"]}
    rows = rows_by_plugin(node, "linux.pods")
    assert {(row["namespace"], row["pod_name"], row["pod_uid"]) for row in rows} == truth
    assert {row["pod_name"] for row in rows} == PODS
    assert all(row["processes"] > 0 for row in rows)
