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
    BucketOwnerOption,
    CacheOption,
    ClusterOption,
    CsvOption,
    IsfOption,
    JsonlOption,
    JsonOption,
    KallsymsOption,
    LimitOption,
    TruncatedOption,
    print_json,
    print_rows,
    progress,
)
from memir.errors import EXIT_DONE, EXIT_EVIDENCE, EvidenceError, UsageError
from memir.text import say

if TYPE_CHECKING:
    from memir.volatility.run import PluginResult


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command("run", context_settings=settings)(run)
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
    plugin: Annotated[
        str | None, typer.Argument(metavar="PLUGIN", help="linux.pslist, linux.pods, ... or a full name.")
    ] = None,
    image: Annotated[
        str | None, typer.Argument(metavar="IMAGE", help="RAM image (any format), evidence folder or s3:// address.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the plugins for Linux, a line each.")] = False,
    help_: Annotated[
        bool, typer.Option("--help", help="Show this message; behind a plugin's name, that plugin's options.")
    ] = False,
    plugin_dirs: Annotated[
        list[Path] | None, typer.Option("-p", "--plugin-dirs", help="Folder with more plugins.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output-dir", help="Folder for files that the plugin writes.")
    ] = None,
    csv: CsvOption = False,
    jsonl: JsonlOption = False,
    limit: LimitOption = None,
    json: JsonOption = False,
    cluster: ClusterOption = None,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Run any volatility3 plugin, with pod columns added to rows about a process. Its own options go behind `--`."""
    if plugin is not None and image is not None and Path(plugin).exists() and not Path(image).exists():
        plugin, image = image, plugin  # `memir run IMAGE PLUGIN` says what is meant
    if plugin is not None or listing:
        _need_volatility()
    if help_:
        _help(context, plugin, plugin_dirs or [])
        return
    if listing:
        _list(plugin_dirs or [], json=json)
        return
    if plugin is None or image is None:
        raise UsageError("memir run PLUGIN IMAGE: `memir run --list` lists the plugins")
    import memir
    from memir.ram_node import of_ram
    from memir.volatility.beside import run_on

    with progress() as line:
        opened = memir.open(
            image, cluster=cluster, btf=btf, kallsyms=kallsyms, isf=isf, base=base, cache=cache, progress=line,
        )  # fmt: skip
        node = of_ram(opened)
        result = run_on(
            node.source, node.anchors, plugin, context.args, isf=isf, plugin_dirs=plugin_dirs or [], output=output,
            progress=line,
        )  # fmt: skip
    if json:
        print_json(_document(result) | node.coverage.facts())
    else:
        rows = [_shown(result, row) for row in result.rows]
        print_rows([column.name for column in result.columns], rows, csv=csv, jsonl=jsonl, limit=limit)
        say(*(f"written: {path}" for path in result.files), err=csv or jsonl) if result.files else None
    for warning, count in result.warnings.items():
        say(f"volatility3: {warning}" + (f" ({count} times)" if count > 1 else ""), err=True)
    if result.failure is not None:
        raise PluginFailedError(
            f"{result.plugin} stopped before its end, after {len(result.rows)} rows: {result.failure}"
        )
    if result.unwritten and not result.files:
        raise PluginFailedError(f"{result.plugin} could write none of the {result.unwritten} files it was asked for")
    if result.unwritten:
        say(f"{result.unwritten} of {result.unwritten + len(result.files)} files could not be written: "
            "the pages of their headers are not in the image", err=True)  # fmt: skip
    if not node.coverage.whole:
        say(node.coverage.text(), err=True)
        raise typer.Exit(EXIT_DONE if allow_truncated else EXIT_EVIDENCE)


def _help(context: typer.Context, plugin: str | None, plugin_dirs: list[Path]) -> None:
    if plugin is None:
        say(*context.get_help().split("\n"))
        return
    from memir.volatility.beside import options_of

    say(*options_of(plugin, plugin_dirs).rstrip("\n").split("\n"))
    say("", f"memir run {plugin} IMAGE [options of memir, see memir run --help] -- [options of the plugin]")


def _list(plugin_dirs: list[Path], *, json: bool) -> None:
    from memir.volatility.beside import plugin_list

    plugins = plugin_list(plugin_dirs)
    if json:
        print_json([{"plugin": name, "doc": doc} for name, doc in plugins])
        return
    wide = max(len(name) for name, _ in plugins)
    say(*(f"{name:<{wide}}  {doc}".rstrip() for name, doc in plugins))


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
