# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""A plugin of a few lines over any table, and how its cells come out."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

from volatility3 import framework

from memir.kube.ram import RamSource
from memir.tables.table import tables
from memir.text import safe
from memir.volatility.run import run_plugin
from memir.volatility.table_plugin import TablePlugin, kernel_requirement

NodeOf = Callable[[str], RamSource]
PLUGIN = '''
from memir.volatility.table_plugin import TablePlugin

class Every(TablePlugin):
    """Every column."""
    table = "{table}"
    columns = {columns!r}
'''


def test_any_table_as_a_plugin(node_of: NodeOf, tmp_path: Path) -> None:
    node = node_of("s-6.1-small")
    (tmp_path / "linux").mkdir()
    for name in ("threads", "processes"):
        table = tables()[name]
        columns = tuple(column.name for column in table.columns)
        (tmp_path / "linux" / f"every{name}.py").write_text(PLUGIN.format(table=name, columns=columns))
        memory, anchors = node.kernel.memory, node.kernel.anchors
        result = run_plugin(memory, anchors, f"linux.every{name}", plugin_dirs=[tmp_path])
        assert (result.failure, [column.name for column in result.columns]) == (None, list(columns))
        kinds = {column.name: column.kind for column in result.columns}
        assert kinds["pod_uid"] == kinds["seen_by"] == "string"
        shown = [
            {
                column: safe(" ".join(map(str, value))) if isinstance(value, list) else value
                for column, value in row.items()
            }
            for row in table.read(node).rows()
        ]
        assert result.dicts() == shown
        if name == "processes":
            assert (kinds["task"], kinds["start_time"], kinds["uid"]) == ("hex", "time", "int")
            assert isinstance(result.dicts()[0]["start_time"], datetime.datetime)


def test_the_base_is_no_plugin_itself() -> None:
    names = {plugin.__name__ for plugin in framework.list_plugins().values()}
    assert "TablePlugin" not in names
    assert TablePlugin.hidden
    (need,) = TablePlugin.get_requirements()
    assert (need.name, need.description) == (kernel_requirement().name, "Linux kernel") == ("kernel", "Linux kernel")
