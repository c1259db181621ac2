# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""What containers created, changed and deleted against their images."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class Drift(TablePlugin):
    """What containers created, changed and deleted against their images."""

    table = "inodes"
    only = "change"
    columns = (
        "change",
        "noise",
        "container_path",
        "node_path",
        "kind",
        "mode",
        "uid",
        "size",
        "mtime",
        "ctime",
        "deleted",
        "cached",
        "sha256",
        "namespace",
        "pod_name",
        "container_name",
        "container_id",
        "address",
    )
