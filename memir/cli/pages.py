# SPDX-License-Identifier: Apache-2.0
"""`memir pages IMAGE`: RAM by pod and kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    BucketOwnerOption,
    CacheOption,
    ClusterOption,
    ImageArgument,
    IsfOption,
    JsonOption,
    KallsymsOption,
    TruncatedOption,
    gap_rows,
    print_json,
    progress,
)
from memir.errors import EXIT_DONE, EXIT_EVIDENCE, OutputError, UsageError

if TYPE_CHECKING:
    from memir.known_files import Match


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("pages")(pages)


def pages(
    image: ImageArgument,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw a treemap into a new file.")] = None,
    known: Annotated[
        list[Path] | None,
        typer.Option("--known", metavar="FILE", help="Instead: which cached files have pages of this one; repeatable."),
    ] = None,
    cluster: ClusterOption = None,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Whose the node's RAM is: every page frame once, by pod and by what it is used for; what no rule names is said.

    With --known: files of the page cache of which pages are a known file's, and whose they are; a part is enough.

    Exit 0: done. 3: the image lacks a part of the node's RAM.
    """
    import memir
    from memir.known_files import known_files
    from memir.page_use import page_use
    from memir.report.pages import drawing, print_pages, say_drawn

    if known and svg is not None:
        raise UsageError("--known draws no picture: leave --svg out")
    with (
        progress() as line,
        memir.open(
            image, cluster=cluster, btf=btf, kallsyms=kallsyms, isf=isf, base=base, cache=cache, progress=line
        ) as node,
    ):
        matches = known_files(node, known) if known else []
        use = None if known else page_use(node)
        whole, name, gaps = node.coverage.whole, node.name, gap_rows(node.gaps)
    if svg is not None and use is not None:
        text = "\n".join(drawing(use, f"RAM of {name or 'a node'}: {use.total / (1 << 20):,.0f} MiB")) + "\n"
        try:
            with svg.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise OutputError(f"{svg}: is there already; name a new file") from error
        except OSError as error:
            raise OutputError(f"{svg}: cannot be written: {error.strerror or error}") from error
    if use is None:
        _print_known(matches, gaps, json=json)
    elif json:
        print_json({**use.document(), "gaps": gaps})
    else:
        print_pages(use)
        if svg is not None:
            say_drawn(str(svg))
    if not whole:
        raise typer.Exit(EXIT_DONE if allow_truncated else EXIT_EVIDENCE)


def _print_known(matches: list[Match], gaps: list[dict[str, Any]], *, json: bool) -> None:
    from memir.findings.look import where
    from memir.report.grid import print_grid

    rows = [match.document() for match in matches]
    if json:
        print_json({"matches": rows, "gaps": gaps})
        return
    shown = [
        (row["known"], row["verdict"], f"{row['equal']} of {row['here']}", row["moved"], row["differing"],
         "shared by pods" if row["shared_by"] else where(row), (row["path"] or f"inode {row['inode']}")
         + (" (deleted)" if row["deleted"] else ""))
        for row in rows
    ]  # fmt: skip
    print_grid(("known", "verdict", "equal", "moved", "differing", "whose", "path"), shown)
