# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Sockets of every network namespace with their pod, and what the other end is.

Its name has an underscore because `vol` takes linux.pods for a part of linux.podsockets.
"""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class PodSockets(TablePlugin):
    """Sockets of every network namespace with their pod, and what the other end is."""

    table = "sockets"
    columns = (
        "net_ns",
        "family",
        "protocol",
        "local",
        "local_port",
        "remote",
        "remote_port",
        "state",
        "seen_in",
        "pid",
        "pids",
        "remote_kind",
        "remote_name",
        "namespace",
        "pod_name",
        "container_name",
        "container_id",
        "inode",
        "sock",
    )
