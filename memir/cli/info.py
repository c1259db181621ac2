# SPDX-License-Identifier: Apache-2.0
"""`memir info IMAGE`: what an image is."""

from __future__ import annotations

from typing import Annotated

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    BucketOwnerOption,
    CacheOption,
    ImageArgument,
    IsfOption,
    JsonOption,
    KallsymsOption,
    TruncatedOption,
    print_json,
    progress,
)
from memir.errors import EXIT_EVIDENCE


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("info")(info)


def info(
    image: ImageArgument,
    sha256: Annotated[bool, typer.Option("--sha256", help="Hash the whole file.")] = False,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Format, size, kernel, paging and KASLR of an image, when it was taken, and where its symbols come from.

    Exit 3 if no kernel is found, or the image lacks a part of the node's RAM.
    """
    import memir

    with progress() as line:
        described = memir.describe(
            image, sha256=sha256, btf=btf, kallsyms=kallsyms, isf=isf, base=base, cache=cache,
            progress=line,
        )  # fmt: skip
    if json:
        error = {"error": str(described.failure)} if described.failure else {}
        print_json(described.facts | error)
    else:
        from memir.report.image import print_image

        print_image(described.facts)
    if described.failure is not None:
        raise described.failure
    if not (described.whole or allow_truncated):
        raise typer.Exit(EXIT_EVIDENCE)
