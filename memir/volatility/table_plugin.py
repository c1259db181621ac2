# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""A volatility3 plugin over one of memir's tables: its subclass names the table and the columns that it shows."""

from __future__ import annotations

from typing import Any, ClassVar

from volatility3.framework import interfaces
from volatility3.framework.configuration import requirements

from memir.tables.table import tables
from memir.volatility.engine import node_of
from memir.volatility.grid import grid


def kernel_requirement() -> Any:
    """The Linux kernel, as volatility3's own plugins ask for it."""
    return requirements.ModuleRequirement(
        name="kernel", description="Linux kernel", architectures=["Intel32", "Intel64"]
    )


class TablePlugin(interfaces.plugins.PluginInterface):  # type: ignore[misc]  # volatility3 has no types
    """Base of the plugins in plugins/linux; volatility3 does not list it, as `hidden` says."""

    hidden = True
    _required_framework_version = (2, 0, 0)
    _version = (1, 0, 0)
    table: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    only: ClassVar[str | None] = None
    """A column: rows in which it is not known are left out."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.hidden = False

    @classmethod
    def get_requirements(cls) -> list[Any]:
        """The kernel is all that is needed."""
        return [kernel_requirement()]

    def run(self) -> Any:
        """One row for each row of the table, or those that `only` leaves; what is not known is not available."""
        table = tables()[self.table]
        frame = table.read(node_of(self.context, self.config["kernel"]))
        if self.only is not None:
            frame = frame.take([row for row, value in enumerate(frame[self.only].to_pylist()) if value is not None])
        return grid(table, frame, self.columns)
