# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Containers of the node, running and exited, with their pods and layers."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class Containers(TablePlugin):
    """Containers of the node, running and exited, with their pods and layers."""

    table = "containers"
    columns = (
        "namespace",
        "pod_name",
        "container_name",
        "container_id",
        "kind",
        "state",
        "init_pid",
        "image",
        "runtime",
        "privileged",
        "host_pid",
        "host_network",
        "cgroup_path",
        "rootfs",
        "overlay_upper",
        "overlay_lower",
        "args",
    )
