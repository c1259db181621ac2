# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Processes with their container, pod and pid inside the container."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class ContainerPs(TablePlugin):
    """Processes with their container, pod and pid inside the container."""

    table = "processes"
    columns = (
        "pid",
        "ppid",
        "pid_in_container",
        "comm",
        "uid",
        "namespace",
        "pod_name",
        "container_name",
        "container_id",
        "pod_uid",
        "args",
        "exe",
        "exe_deleted",
        "start_time",
        "witnesses",
        "disagreements",
        "task",
    )
