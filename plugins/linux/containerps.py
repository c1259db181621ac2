# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Processes with their container, pod and pid inside the container."""

from __future__ import annotations

from typing import Any

from volatility3.framework import interfaces
from volatility3.framework.configuration import requirements

from memir.volatility.engine import node_of
from memir.volatility.grid import grid

COLUMNS = (
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


class ContainerPs(interfaces.plugins.PluginInterface):  # type: ignore[misc]  # volatility3 has no types
    """Processes with their container, pod and pid inside the container."""

    _required_framework_version = (2, 0, 0)
    _version = (1, 0, 0)

    @classmethod
    def get_requirements(cls) -> list[Any]:
        """The kernel is all that is needed."""
        return [
            requirements.ModuleRequirement(
                name="kernel", description="Linux kernel", architectures=["Intel32", "Intel64"]
            )
        ]

    def run(self) -> Any:
        """One row for each; what is not known is not available."""
        rows = node_of(self.context, self.config["kernel"]).tables()["processes"]
        return grid("processes", rows, COLUMNS)
