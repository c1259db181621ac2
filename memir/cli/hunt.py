# SPDX-License-Identifier: Apache-2.0
"""`memir hunt IMAGE... --rules PATH`: YARA over RAM, every hit with its owner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    BucketOwnerOption,
    CacheOption,
    CsvOption,
    IsfOption,
    JsonlOption,
    JsonOption,
    KallsymsOption,
    LimitOption,
    SignKeyOption,
    TruncatedOption,
    gap_rows,
    print_json,
    print_rows,
    progress,
    signing_key,
)
from memir.errors import EXIT_DONE, EXIT_EVIDENCE, Interrupted, UsageError
from memir.text import say

if TYPE_CHECKING:
    from memir.hunt.fleet import Answer
    from memir.hunts import HuntResult

_RULES = (".yar", ".yara", ".yarc")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("hunt")(hunt)


def hunt(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="RAM images, evidence folders, folders of either, s3:// objects or prefixes."
        ),
    ],
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", "-r", metavar="PATH", help="Rule file, folder or compiled rules; else memir's own."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="CASE", help="Case folder for tables/hits.parquet."),
    ] = None,
    pod: Annotated[list[str] | None, typer.Option("--pod", help="Only this pod (name, namespace/name or UID).")] = None,
    namespace: Annotated[list[str] | None, typer.Option("--namespace", "-n", help="Only this namespace.")] = None,
    container: Annotated[
        list[str] | None, typer.Option("--container", help="Only this container (name or id).")
    ] = None,
    pid: Annotated[list[int] | None, typer.Option("--pid", help="Only this process.")] = None,
    kinds: Annotated[
        str | None, typer.Option("--kinds", help="Of process,files,kernel,free,unknown; all if not given.")
    ] = None,
    scope: Annotated[
        str,
        typer.Option("--scope", help="region: a condition is judged in each region; process: over all of them."),
    ] = "region",
    rule_timeout: Annotated[int, typer.Option("--rule-timeout", min=1, help="Seconds for one unit, all rules.")] = 60,
    external: Annotated[
        list[str] | None, typer.Option("--external", metavar="NAME=VALUE", help="A variable that rules use.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad-rules", help="Leave rules out that do not compile; they are told and counted.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Threads, or processes for many images; all processors.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="A running Dask scheduler, for many images.")
    ] = None,
    cluster: Annotated[Path | None, typer.Option("--cluster", help="The API's view, for names of pods.")] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", "--show-secrets", help="Show what rules tagged `secret` matched.")
    ] = False,
    sign_key: SignKeyOption = None,
    csv: CsvOption = False,
    jsonl: JsonlOption = False,
    limit: LimitOption = None,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Scan RAM with YARA rules and say for every hit which process, pod, file, or free memory it lies in.

    Exit 0: done. 3: done, but an image lacks a part of the node's RAM, or one of many failed. 130: interrupted.
    """
    import memir
    from memir.hunt.rules import parse_externals
    from memir.hunts import is_many

    if sum((json, csv, jsonl)) > 1:
        raise UsageError("--json, --csv and --jsonl: one of them")
    paths, images = _rule_paths(images, rules or [])
    ruleset = memir.compile_rules(paths or None, parse_externals(external or []), skip_bad=skip_bad)
    asked: dict[str, Any] = {
        "kinds": kinds, "scope": scope, "timeout": rule_timeout, "show_secrets": reveal,
        "pod": pod or (), "namespace": namespace or (), "container": container or (), "pid": pid or (),
    }  # fmt: skip
    key = signing_key(sign_key)
    with progress() as line:
        if scheduler is None and not is_many(images):
            result = memir.hunt_image(
                images[0], ruleset, output, sign_key=key, progress=line, workers=workers, **asked,
                given={
                    "cluster": cluster, "cache": cache, "base": base, "btf": btf,
                    "kallsyms": kallsyms, "isf": isf,
                },
            )  # fmt: skip
        else:
            if any((btf, kallsyms, isf, base)):
                raise UsageError("--btf, --kallsyms, --isf and --base are for one image")

            def answered(answer: Answer, count: int, every: int) -> None:
                line("images", count, every)
                if jsonl:
                    line.wipe()
                    for row in answer.rows:
                        print_json(row)

            result = memir.hunt_images(
                images, ruleset, output, scheduler=scheduler, workers=workers, cluster=cluster, cache=cache,
                sign_key=key, answered=answered, **asked,
            )  # fmt: skip
    _print(result, json=json, jsonl=jsonl, csv=csv, limit=limit)
    if result.stopped:
        kept = f"; its hits are in {output}" if output is not None else ""
        part = any(gap.why.startswith("interrupted by the user") for gap in result.gaps)
        what = ": not all RAM was scanned (see what was not covered)" if part else " after all RAM was scanned"
        raise Interrupted(f"interrupted{what}{kept}")
    if result.failed or not result.whole:
        raise typer.Exit(EXIT_DONE if allow_truncated and not result.failed else EXIT_EVIDENCE)


def _rule_paths(images: list[str], rules: list[Path]) -> tuple[list[Path], list[str]]:
    """`--rules a.yar b.yar` as a shell's wildcard gives it: what is named like rules is none of the images."""
    more = [Path(name) for name in images if name.lower().endswith(_RULES)]
    images = [name for name in images if not name.lower().endswith(_RULES)]
    if not images:
        raise UsageError("no image to hunt through")
    if not rules and not more:
        say("no --rules: memir's starter rules are used (miners, shells, credentials, tokens, modules)", err=True)
    return [*rules, *more], images


def _print(result: HuntResult, *, json: bool, jsonl: bool, csv: bool, limit: int | None) -> None:
    if json:
        print_json({**result.document(), "hits": list(result.hits), "gaps": gap_rows(result.gaps)})
        return
    if csv or (jsonl and not result.many):  # the rows of many images have been printed as they came
        columns = result.hits.columns
        rows = [list(row.values()) for row in result.hits]
        print_rows(columns, rows, csv=csv, jsonl=jsonl, limit=limit)
    from memir.report.hits import print_hits, shares

    if csv or jsonl:
        say(*shares(result), err=True) if shares(result) else None
        return

    print_hits(result, limit)
