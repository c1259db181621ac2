# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""The cgroups of every process, in every hierarchy."""

from __future__ import annotations

from memir.volatility.table_plugin import TablePlugin


class Cgroups(TablePlugin):
    """The cgroups of every process, in every hierarchy."""

    table = "processes"
    columns = (
        "pid",
        "comm",
        "cgroup_path",
        "cgroups",
        "container_id",
        "pod_uid",
    )
