# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Run any volatility3 plugin on a located kernel, and say of each row to which pod it belongs.

result = run_plugin(memory, anchors, "linux.sockstat", ["--pids", "1292"], owners=RamSource(kernel).owners)
for row in result.rows: ...
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volatility3.framework import exceptions, plugins

from memir.errors import MemirError, UsageError
from memir.image.memory import PhysicalMemory
from memir.kernel.space import AddressSpace
from memir.kube.owner import Owners
from memir.symbols.anchors import Anchors
from memir.symbols.isf import IsfTypes
from memir.volatility.automagic import KnownKernel
from memir.volatility.context import LAYER, MODULE, build_context
from memir.volatility.elf_dump import FAILED, whole_programs
from memir.volatility.output import Cell, file_handler, heard, kind_of, plain
from memir.volatility.plugins import configure, find_plugin, full_name, import_all, process_settings
from memir.volatility.pod_columns import PluginColumn, with_pods
from memir.volatility.titles import whole_titles


@dataclass(frozen=True)
class PluginResult:
    """What a plugin gave.

    plugin: its full name. columns, rows: values are plain Python, None where there is none. depths: how
    deep each row lies in the plugin's tree, 0 at the top. files: what it wrote. warnings: what volatility3
    warned of, and how often. failure: why it stopped before its end, None if it came to its end; then
    `rows` are only those before.
    """

    plugin: str
    columns: tuple[PluginColumn, ...]
    rows: list[tuple[Cell, ...]]
    depths: list[int]
    files: list[Path]
    warnings: dict[str, int]
    failure: str | None

    @property
    def unwritten(self) -> int:
        """Rows whose file the plugin could not write, as it was asked to; pages that are not in RAM mostly."""
        return sum(FAILED in row for row in self.rows)

    def dicts(self) -> list[dict[str, Cell]]:
        """The rows by column name."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


class Host:
    """volatility3 over one located kernel; the context is built once and serves any number of plugins.

    Not for several threads: volatility3 keeps much for the whole process, so that runs wait for each other.
    """

    def __init__(
        self,
        memory: PhysicalMemory,
        anchors: Anchors,
        space: AddressSpace | None = None,
        isf: IsfTypes | None = None,
    ) -> None:
        """Arguments as for `build_context`."""
        self.context = build_context(memory, anchors, space, isf)
        self._runs = itertools.count()

    def run(
        self,
        plugin: str,
        options: Sequence[str] = (),
        *,
        plugin_dirs: Sequence[Path] = (),
        output: Path | None = None,
        owners: Owners | None = None,
        progress: Callable[[float, str], None] | None = None,
    ) -> PluginResult:
        """Run a plugin by name with options as on `vol`'s command line.

        plugin_dirs: folders with more plugins, as `vol -p`. output: folder for files that the plugin
        writes. owners: when given, rows that name something of which they know whose it is (a task, socket, inode, file
        system, page, namespace, pid, address of a pod) get pod columns. progress: is told
        (percent, what).

        UsageError for an unknown plugin, a wrong option or a requirement that the image cannot meet. What
        goes wrong while the plugin runs is the result's `failure`.
        """
        for folder in (*plugin_dirs, *([output] if output else [])):
            if not folder.is_dir():
                raise UsageError(f"{folder}: is not a folder")
        written: list[Path] = []
        with process_settings(plugin_dirs), heard() as messages, self._own_layers():
            chosen = find_plugin(plugin)
            constructed = self._construct(chosen, options, progress, file_handler(output, written))
            with _own_defaults(chosen), whole_programs(), whole_titles():
                columns, rows, depths, failure = _populate(constructed)
        if owners is not None:
            columns, rows = with_pods(columns, rows, owners, self.context.layers[LAYER].canonicalize)
        return PluginResult(full_name(chosen), columns, rows, depths, written, messages, failure)

    @contextlib.contextmanager
    def _own_layers(self) -> Iterator[None]:
        """Take the layers away that a plugin adds, one a process it looks at; the next adds its own."""
        before = set(self.context.layers)
        try:
            yield
        finally:
            for name in reversed(list(self.context.layers)):
                if name not in before:
                    self.context.layers.del_layer(name)

    def _construct(self, plugin: type[Any], options: Sequence[str], progress: Any, handler: type[Any]) -> Any:
        base = f"memir.run{next(self._runs)}"
        configure(self.context, plugin, options, f"{base}.{plugin.__name__}")
        known = [KnownKernel(self.context, f"{base}.known", layer=LAYER, module=MODULE)]
        try:
            constructed = plugins.construct_plugin(self.context, known, plugin, base, progress, handler)
        except exceptions.UnsatisfiedException as error:
            needs = [f"{path.rpartition('.')[2]} ({need.description})" for path, need in error.unsatisfied.items()]
            raise UsageError(f"{full_name(plugin)} needs what is not there: {', '.join(needs)}") from error
        if hasattr(constructed, "automagics"):  # timeliner runs those other plugins that have been imported
            import_all()
            constructed.automagics = known
        return constructed


def run_plugin(
    memory: PhysicalMemory,
    anchors: Anchors,
    plugin: str,
    options: Sequence[str] = (),
    *,
    space: AddressSpace | None = None,
    isf: IsfTypes | None = None,
    plugin_dirs: Sequence[Path] = (),
    output: Path | None = None,
    owners: Owners | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> PluginResult:
    """Run one plugin; see `Host` and `Host.run`."""
    host = Host(memory, anchors, space, isf)
    return host.run(plugin, options, plugin_dirs=plugin_dirs, output=output, owners=owners, progress=progress)


@contextlib.contextmanager
def _own_defaults(plugin: type[Any]) -> Iterator[None]:
    """Let the run change copies of default arguments: iomem notes there what it has seen, and gives it only once."""
    functions = [getattr(member, "__func__", member) for member in vars(plugin).values()]
    before = {function: function.__defaults__ for function in functions if getattr(function, "__defaults__", None)}
    for function, values in before.items():
        function.__defaults__ = tuple(copy.copy(value) for value in values)
    try:
        yield
    finally:
        for function, values in before.items():
            function.__defaults__ = values


def _populate(plugin: Any) -> tuple[tuple[PluginColumn, ...], list[tuple[Cell, ...]], list[int], str | None]:
    columns: tuple[PluginColumn, ...] = ()
    rows: list[tuple[Cell, ...]] = []
    depths: list[int] = []

    def visit(node: Any, _: None) -> None:
        rows.append(tuple(plain(value) for value in node.values))
        depths.append(max(0, node.path_depth - 1))

    try:
        grid = plugin.run()
        columns = tuple(PluginColumn(column.name, kind_of(column.type)) for column in grid.columns)
        error = grid.populate(visit, None, fail_on_errors=False)
    except MemirError:
        raise
    except Exception as raised:  # noqa: BLE001  a plugin is anyone's code
        error = raised
    if isinstance(error, MemirError):
        raise error
    return columns, rows, depths, None if error is None else _explain(error)


def _explain(error: Exception) -> str:
    match error:
        case exceptions.InvalidAddressException():
            where = f"address {error.invalid_address:#x} of layer {error.layer_name}"
            return f"memory that it needs cannot be read: {where} ({error})"
        case exceptions.SymbolError():
            return f"this kernel has no {error.symbol_name}: {error}"
        case exceptions.VolatilityException():
            return str(error) or type(error).__name__
        case _:
            return f"{type(error).__name__}: {error}"
