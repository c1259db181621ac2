# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""volatility3 beside memir's own tables: any plugin on a node that is open, a list of plugins, their options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.errors import UsageError
from memir.kube.ram import RamSource
from memir.kube.secrets import Secrets
from memir.symbols.anchors import Anchors
from memir.symbols.isf import read as read_isf
from memir.tables.frame import plain
from memir.volatility.engine import plugins_path
from memir.volatility.plugins import find_plugin, import_all, plugin_help, process_settings
from memir.volatility.pod_columns import POD_COLUMNS
from memir.volatility.run import Host, PluginResult

if TYPE_CHECKING:
    import pyarrow as pa

_OTHER_SYSTEMS = ("windows.", "mac.")


def run_on(
    source: RamSource,
    anchors: Anchors,
    plugin: str,
    options: Sequence[str] = (),
    *,
    isf: Path | None = None,
    plugin_dirs: Sequence[Path] = (),
    output: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> PluginResult:
    """Run a plugin on a node; its rows get pod columns. output: folder for its files, made if it is not there.

    progress: called with the plugin's words, and hundredths of a percent. UsageError as Host.run has it, and for a
    plugin that is asked for files without a folder for them.
    """
    if output is None and "--dump" in options:
        raise UsageError("--dump writes files: say where, with -o FOLDER before the `--`")
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)

    def advance(percent: float, words: str) -> None:
        if progress is not None:
            progress(words or plugin, int(percent * 100), 10_000)

    return _host(source, anchors, isf).run(
        plugin, options, plugin_dirs=[*plugin_dirs, plugins_path()], output=output, owners=source.owners,
        progress=advance,
    )  # fmt: skip


def _host(source: RamSource, anchors: Anchors, isf: Path | None) -> Host:
    memory: Any = source.kernel.memory
    return Host(memory, anchors, source.kernel.space, read_isf(isf) if isf is not None else None)


def plugin_tables(
    source: RamSource, anchors: Anchors, names: Sequence[str], isf: Path | None = None
) -> Mapping[str, pa.Table]:
    """Tables plugin_NAME of several plugins; one that stopped before its end is a counted gap."""
    host = _host(source, anchors, isf)
    tables = {}
    for name in names:
        result = host.run(name, plugin_dirs=[plugins_path()], owners=source.owners)
        if result.failure is not None:
            source.gaps.add(f"plugin {name}", result.plugin, result.failure)
        key = "plugin_" + name.removeprefix("linux.").replace(".", "_").lower()
        tables[key] = plain([_masked(row, source.secrets) for row in result.dicts()]).to_arrow()
    return tables


def _masked(row: Mapping[str, Any], secrets: Secrets) -> dict[str, Any]:
    """A row with the secrets of its texts masked, as memir's own tables have them: many read a case.

    A value beside a name (linux.envars' KEY and VALUE) is masked by that name; a text of several words as the command
    line that it may be.
    """
    name = row.get("KEY")
    masked = dict(row)
    for column, cell in row.items():
        if not isinstance(cell, str) or column in POD_COLUMNS:
            continue
        if column == "VALUE" and isinstance(name, str):
            masked[column] = secrets.text(cell, name)[0]
        else:
            masked[column] = " ".join(secrets.args(cell.split(" "))[0] or ()) if " " in cell else secrets.text(cell)[0]
            masked[column] = secrets.text(masked[column])[0]  # a secret that goes over several words
    return masked


def plugin_list(plugin_dirs: Sequence[Path] = ()) -> list[tuple[str, str]]:
    """(name, what it does in a line) of every plugin for Linux, memir's own included."""
    with process_settings([*plugin_dirs, plugins_path()]):
        plugins = import_all()
    return [
        (name, (inspect.getdoc(plugin) or "").split("\n")[0])
        for name, plugin in sorted(plugins.items())
        if not name.startswith(_OTHER_SYSTEMS)
    ]


def options_of(plugin: str, plugin_dirs: Sequence[Path] = ()) -> str:
    """The options of a plugin, as `vol PLUGIN --help` shows them. UsageError for one that there is not."""
    with process_settings([*plugin_dirs, plugins_path()]):
        return plugin_help(find_plugin(plugin))
