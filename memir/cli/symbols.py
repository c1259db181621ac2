# SPDX-License-Identifier: Apache-2.0
"""`memir symbols`: a volatility3 symbol file for the kernel of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    CacheOption,
    JsonOption,
    KallsymsOption,
    TruncatedOption,
    find_kernel,
    open_memory,
    print_json,
)
from memir.errors import UsageError
from memir.text import say

if TYPE_CHECKING:
    from memir.symbols.anchors import Anchors
    from memir.symbols.isf_make import IsfSource


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
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
) -> None:
    """Write an ISF that volatility3 accepts, from the image alone or from files taken on the live node."""
    if image is None:
        source, release = _from_files(btf, kallsyms, banner)
    else:
        memory = open_memory(image, cache=cache, allow_truncated=allow_truncated, base=base)
        anchors, _ = find_kernel(memory, cache=cache, btf=btf, kallsyms=kallsyms)
        source, release = isf_of(anchors), anchors.release
    source.write(output)
    if json:
        print_json(
            {
                "release": release,
                "symbols": len(source.symbols),
                "file": str(output),
                "size": output.stat().st_size,
            }
        )
    else:
        say(f"{output}: {len(source.symbols)} symbols of {release}")


def isf_of(anchors: Anchors) -> IsfSource:
    """The ISF of a located kernel; addresses as linked, so that it serves every boot of the same kernel."""
    from memir.errors import BtfError, KallsymsError
    from memir.symbols.isf_make import IsfSource

    if anchors.btf is None:
        raise BtfError(f"kernel {anchors.release}: no BTF to make an ISF from")
    if anchors.shift is None:
        raise KallsymsError(f"kernel {anchors.release}: the KASLR shift is not known: supply --kallsyms FILE")
    linked = dict(anchors.symbols.shifted(-anchors.shift))
    linked.setdefault("init_task", (anchors.init_task - anchors.shift) & ((1 << 64) - 1))
    return IsfSource(anchors.btf, linked, anchors.banner.encode())


def _from_files(btf: Path | None, kallsyms: Path | None, banner: str | None) -> tuple[IsfSource, str]:
    from memir.symbols.btf import parse
    from memir.symbols.isf_make import IsfSource
    from memir.symbols.locate import X86_LINKED_TEXT
    from memir.symbols.table import read_kallsyms_text

    if btf is None or kallsyms is None or banner is None:
        raise UsageError("give an IMAGE, or --btf, --kallsyms and --banner from the live node")
    try:
        types, text = parse(btf.read_bytes()), Path(banner).read_text() if Path(banner).is_file() else banner
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be read: {error.strerror}") from error
    addresses = read_kallsyms_text(kallsyms)
    x86 = types.struct("pt_regs") is not None and "pstate" not in (types.struct("pt_regs") or (0, {}))[1]
    # on arm64 any base serves: volatility3 finds the shift of each boot itself
    shift = addresses.get("_text", X86_LINKED_TEXT) - X86_LINKED_TEXT if x86 else 0
    words = text.split(" ")
    return IsfSource(types, dict(addresses.shifted(-shift)), text.strip().encode()), words[2] if len(words) > 2 else "?"
