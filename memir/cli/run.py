# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""`memir run PLUGIN IMAGE` and `memir plugins-path`: volatility3's plugins, memir's and anyone's."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    CacheOption,
    ImageArgument,
    IsfOption,
    JsonOption,
    KallsymsOption,
    TruncatedOption,
    find_kernel,
    open_memory,
    print_json,
    print_table,
)
from memir.errors import EvidenceError, UsageError
from memir.text import say

if TYPE_CHECKING:
    from memir.volatility.run import PluginResult


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(run)
    app.command("plugins-path")(plugins_path)


class PluginFailedError(EvidenceError):
    """A plugin stopped before its end; the rows before are printed."""


def _need_volatility() -> None:
    """All other verbs work without it, so it may be missing."""
    if find_spec("volatility3") is None:
        raise UsageError("volatility3 is not installed: pip install 'volatility3>=2.28,<2.29'")


def plugins_path() -> None:
    """Print the folder of memir's volatility3 plugins, for `vol -p "$(memir plugins-path)"`."""
    _need_volatility()
    from memir.volatility.engine import plugins_path as folder

    say(str(folder()))


def run(
    context: typer.Context,
    plugin: Annotated[str, typer.Argument(metavar="PLUGIN", help="linux.pslist, linux.pods, ... or a full name.")],
    image: ImageArgument,
    plugin_dirs: Annotated[
        list[Path] | None, typer.Option("-p", "--plugin-dirs", help="Folder with more plugins.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output-dir", help="Folder for files that the plugin writes.")
    ] = None,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Run any volatility3 plugin, with pod columns added to rows about a process. Its own options go behind `--`."""
    from memir.kube.ram import RamSource
    from memir.symbols.isf import read as read_isf

    _need_volatility()
    from memir.volatility.engine import plugins_path as folder
    from memir.volatility.run import Host

    memory = open_memory(image, cache=cache, allow_truncated=allow_truncated, base=base)
    anchors, kernel = find_kernel(memory, cache=cache, btf=btf, kallsyms=kallsyms, isf=isf)
    memory = kernel.memory
    host = Host(memory, anchors, kernel.space, read_isf(isf) if isf is not None else None)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    result = host.run(
        plugin,
        context.args,
        plugin_dirs=[*(plugin_dirs or []), folder()],
        output=output,
        owners=RamSource(kernel).owners,
    )
    if json:
        print_json(_document(result))
    else:
        print_table([column.name for column in result.columns], [_shown(result, row) for row in result.rows])
        for path in result.files:
            say(f"written: {path}")
    for warning, count in result.warnings.items():
        say(f"volatility3: {warning}" + (f" ({count} times)" if count > 1 else ""), err=True)
    if result.failure is not None:
        raise PluginFailedError(
            f"{result.plugin} stopped before its end, after {len(result.rows)} rows: {result.failure}"
        )


def _document(result: PluginResult) -> dict[str, Any]:
    return {
        "plugin": result.plugin,
        "columns": [column.name for column in result.columns],
        "rows": [row | {"depth": depth} for row, depth in zip(result.dicts(), result.depths, strict=True)],
        "files": [str(path) for path in result.files],
        "warnings": result.warnings,
        "failure": result.failure,
    }


def _shown(result: PluginResult, row: tuple[Any, ...]) -> list[Any]:
    return [
        hex(cell) if column.kind == "hex" and isinstance(cell, int) else cell
        for column, cell in zip(result.columns, row, strict=True)
    ]
