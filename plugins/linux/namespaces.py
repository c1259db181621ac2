# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Namespaces of every kind, and who is in them."""

from __future__ import annotations

from typing import Any

from volatility3.framework import interfaces
from volatility3.framework.configuration import requirements

from memir.volatility.engine import node_of
from memir.volatility.grid import grid

COLUMNS = (
    "kind",
    "inum",
    "initial",
    "pids",
    "pods",
)


class Namespaces(interfaces.plugins.PluginInterface):  # type: ignore[misc]  # volatility3 has no types
    """Namespaces of every kind, and who is in them."""

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
        rows = node_of(self.context, self.config["kernel"]).tables()["namespaces"]
        return grid("namespaces", rows, COLUMNS)
