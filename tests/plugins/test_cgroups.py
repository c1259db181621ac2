# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""The cgroups of processes are those of /proc/PID/cgroup."""

from __future__ import annotations

from memir.kube.ram import RamSource
from tests.images import case
from tests.plugins.running import SMALL, rows_by_plugin


def test_cgroups_are_those_of_the_recording(node: RamSource) -> None:
    recorded = case(SMALL).recorded()
    rows = rows_by_plugin(node, "linux.cgroups")
    compared = 0
    for row in rows:
        truth = recorded.get(row["pid"])
        if truth is None or truth.comm == "truth":  # the recorder has ended
            continue
        assert str(row["cgroups"]).split(" ") == truth.cgroups
        compared += 1
    assert compared > 50
    web = {row["pod_uid"] for row in rows if row["comm"] == "server"}
    assert web == {"aaaaaaaa-1111-4111-8111-0123456789ab"}
