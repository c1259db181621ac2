# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Open files of every process with their pod."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class PodFiles(TablePlugin):
    """Open files of every process with their pod."""

    table = "files"
    columns = (
        "pid",
        "fd",
        "use",
        "path",
        "kind",
        "inode",
        "device",
        "flags",
        "deleted",
        "peer",
        "namespace",
        "pod_name",
        "container_name",
        "container_id",
        "file",
    )
