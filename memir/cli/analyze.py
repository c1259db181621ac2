# SPDX-License-Identifier: Apache-2.0
"""`memir analyze IMAGE -o CASE`: everything memir finds in an image, as a case."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    BucketOwnerOption,
    CacheOption,
    ClusterOption,
    FailOnOption,
    ImageArgument,
    IocOption,
    IsfOption,
    JsonOption,
    KallsymsOption,
    LogsOption,
    ReferenceOption,
    SignKeyOption,
    TruncatedOption,
    exit_code_of_findings,
    print_json,
    progress,
    signing_key,
)
from memir.errors import EXIT_DONE, EXIT_EVIDENCE, Interrupted, worst
from memir.text import say

if TYPE_CHECKING:
    from memir.node import Node


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("analyze")(analyze)


def analyze(
    image: ImageArgument,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="CASE", help="Folder for the case.")] = None,
    cluster: ClusterOption = None,
    logs: LogsOption = None,
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", "-r", metavar="PATH", help="Hunt with these YARA rules too.")
    ] = None,
    tables: Annotated[
        str | None,
        typer.Option(
            "--tables",
            metavar="A,B",
            help="Read these tables alone, or +A beside the usual ones; a name that there is not lists all of them.",
        ),
    ] = None,
    no_secrets: Annotated[
        bool,
        typer.Option("--no-secrets", help="Do not search all RAM for secrets: there is no table secrets then."),
    ] = False,
    plugins: Annotated[
        str | None,
        typer.Option("--plugins", metavar="A,B", help="Run these volatility3 plugins too; tables/PLUGIN.parquet."),
    ] = None,
    ioc: IocOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the tables of an earlier analysis in CASE.")] = False,
    sha256: Annotated[bool, typer.Option("--sha256", help="Record the hash of the whole image file.")] = False,
    fail_on: FailOnOption = None,
    sign_key: SignKeyOption = None,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
    reference: ReferenceOption = None,
) -> None:
    """Find every process, container and pod in an image, say how they belong together, and keep it as a case.

    Exit 0: done. 1: with --fail-on, findings of that severity or above. 3: done, but the image lacks a
    part of the node's RAM. 130: interrupted, what was read is kept.
    """
    import memir

    with progress() as line:
        analysis = memir.analyze(
            image, output, tables=_names(tables) or None, rules=rules or None, ioc=ioc, extra=_plugins(plugins, isf),
            force=force, sha256=sha256, sign_key=signing_key(sign_key), cluster=cluster, cache=cache, base=base,
            btf=btf, kallsyms=kallsyms, isf=isf, progress=line, logs=logs or (),
            secrets=not no_secrets, reference=reference,
        )  # fmt: skip
    record = analysis.document()
    if json:
        rows = {name: table.to_pylist() for name, table in analysis.tables.items()}
        print_json({**record, "case": str(output) if output else None, "rows": rows})
    else:
        from memir.report.drift import drift_rows
        from memir.report.summary import SHOWN, print_summary

        shown = {name: table.to_pylist() for name, table in analysis.tables.items() if name in SHOWN}
        if "inodes" in analysis.tables:
            shown["inodes"] = drift_rows(analysis.tables["inodes"])
        print_summary(record, shown)
        if output is not None:
            question = "'select pid, comm, pod_name from processes where in_container'"
            say("", f"Case written to {output}. Ask it:  memir query {shlex.quote(str(output))} {question}")
        else:
            say("", "Nothing of this is kept: -o CASE keeps it, to be asked and reported on.")
    if analysis.stopped:
        kept = f"; what was read is in {output}" if output is not None else ""
        raise Interrupted(f"interrupted: not everything was read (see the gaps){kept}")
    table = analysis.tables.get("findings")
    severities = [row["severity"] for row in table.to_pylist()] if table is not None else []
    code = worst([
        EXIT_DONE if analysis.whole or allow_truncated else EXIT_EVIDENCE,
        exit_code_of_findings(severities, fail_on),
    ])  # fmt: skip
    if code:
        raise typer.Exit(code)


def _plugins(names: str | None, isf: Path | None) -> Callable[[Node], Mapping[str, Any]] | None:
    """What runs volatility3's plugins on the node: nothing else of memir knows volatility3."""
    chosen = _names(names)
    if not chosen:
        return None
    from memir.volatility.beside import plugin_tables

    return lambda node: plugin_tables(node.source, node.anchors, chosen, isf)


def _names(text: str | None) -> list[str]:
    """Of a list with commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]
