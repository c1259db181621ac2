# SPDX-License-Identifier: Apache-2.0
"""`memir symbols`: a volatility3 symbol file for the kernel of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    BucketOwnerOption,
    CacheOption,
    JsonOption,
    KallsymsOption,
    TruncatedOption,
    print_json,
    progress,
)
from memir.errors import EXIT_DONE, EXIT_EVIDENCE, UsageError
from memir.text import say

if TYPE_CHECKING:
    from memir.kernel.ram import Coverage


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("symbols")(symbols)


def symbols(
    image: Annotated[
        str | None,
        typer.Argument(metavar="[IMAGE]", help="RAM image; leave out with --btf, --kallsyms and --banner."),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The ISF to write; compressed if it ends in .xz."),
    ] = Path("symbols.json"),
    banner: Annotated[
        str | None, typer.Option("--banner", help="Text of /proc/version, where there is no image.")
    ] = None,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
) -> None:
    """Write an ISF that volatility3 accepts, from the image alone or from files taken on the live node.

    Exit 3: written, but the image lacks a part of the node's RAM.
    """
    from memir.symbols.isf_source import of_files, of_kernel

    coverage: Coverage | None = None
    if image is not None:
        import memir
        from memir.ram_node import of_ram

        with progress() as line:
            opened = memir.open(image, btf=btf, kallsyms=kallsyms, base=base, cache=cache, progress=line)
        node = of_ram(opened)
        source, release = of_kernel(node.anchors, node.memory), node.anchors.release
        coverage = node.coverage
    elif btf is None or kallsyms is None or banner is None:
        raise UsageError("give an IMAGE, or --btf, --kallsyms and --banner from the live node")
    else:
        source, release = of_files(btf, kallsyms, banner)
    source.write(output)
    if json:
        count, size = len(source.symbols), output.stat().st_size
        share = coverage.facts() if coverage is not None else {}
        print_json({"release": release, "symbols": count, "file": str(output), "size": size, **share})
    else:
        say(f"{output}: {len(source.symbols)} symbols of {release}")
    if coverage is not None and not coverage.whole:
        say(coverage.text(), err=True)
        raise typer.Exit(EXIT_DONE if allow_truncated else EXIT_EVIDENCE)
