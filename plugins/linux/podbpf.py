# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""BPF programs, maps and links, where they are attached, and whose they are."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class PodBpf(TablePlugin):
    """BPF programs, maps and links, where they are attached, and whose they are."""

    table = "bpf"
    columns = (
        "kind",
        "id",
        "type",
        "name",
        "tag",
        "time",
        "uid",
        "attached",
        "pids",
        "namespace",
        "pod_name",
        "container_name",
        "container_id",
        "address",
    )
