# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Mounts of every mount namespace with their pod and the volume that they are."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class PodMounts(TablePlugin):
    """Mounts of every mount namespace with their pod and the volume that they are."""

    table = "mounts"
    columns = (
        "mnt_ns",
        "mount_id",
        "parent_id",
        "device",
        "fstype",
        "mount_point",
        "root",
        "source_path",
        "options",
        "super_options",
        "volume_kind",
        "volume_name",
        "namespace",
        "pod_name",
        "container_name",
        "container_id",
    )
