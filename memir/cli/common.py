# SPDX-License-Identifier: Apache-2.0
"""What the verbs share: options, opening an image, printing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.gaps import Gaps

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from memir.image.memory import PhysicalMemory
    from memir.kernel.engine import Kernel
    from memir.kube.ram import RamSource
    from memir.report.progress import ProgressLine
    from memir.symbols.anchors import Anchors

ImageArgument = Annotated[
    str, typer.Argument(metavar="IMAGE", help="RAM image (any format), evidence folder or s3:// address.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
CacheOption = Annotated[Path | None, typer.Option("--cache", help="Folder for unpacked images and decoded symbols.")]
TruncatedOption = Annotated[
    bool, typer.Option("--allow-truncated", help="An image that lacks RAM is no failure: exit code 0, not 3.")
]
BaseOption = Annotated[
    str | None,
    typer.Option("--base", metavar="ADDRESS", help="Physical address of a raw image's first byte (0x40000000)."),
]
BtfOption = Annotated[
    Path | None, typer.Option("--btf", help="The kernel's BTF (/sys/kernel/btf/vmlinux) if not in the image.")
]
KallsymsOption = Annotated[Path | None, typer.Option("--kallsyms", help="A copy of /proc/kallsyms taken as root.")]
IsfOption = Annotated[
    Path | None, typer.Option("--isf", help="A volatility3 symbol file for the kernel, of any origin.")
]

SignKeyOption = Annotated[
    Path | None, typer.Option("--sign-key", help="Ed25519 private key to sign the case's seal with.")
]


def signing_key(path: Path | None) -> Ed25519PrivateKey | None:
    """The key of --sign-key; read before long work."""
    if path is None:
        return None
    from memir.evidence.custody import load_private

    return load_private(path)


def cache_folder(chosen: Path | None) -> Path:
    """--cache, else $MEMIR_CACHE, else memir below the XDG cache folder."""
    if chosen is not None:
        return chosen
    if os.environ.get("MEMIR_CACHE"):
        return Path(os.environ["MEMIR_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memir"


def progress() -> ProgressLine:
    """A progress line on stderr, only if that is a terminal."""
    from memir.report.progress import ProgressLine

    return ProgressLine()


def open_memory(
    image: str, *, cache: Path | None, allow_truncated: bool = False, base: str | None = None
) -> PhysicalMemory:
    """Open an image file, an evidence folder's image or an s3:// object."""
    from memir.aws.image import open_image
    from memir.errors import UsageError

    path: str | Path = image
    if not image.startswith("s3://") and Path(image).is_dir():
        from memir.evidence.folder import is_evidence
        from memir.evidence.location import address_of

        if is_evidence(Path(image)):
            path = address_of(Path(image))
    try:
        number = int(base, 0) if base else None
    except ValueError as error:
        raise UsageError(f"--base {base}: not a number; write it as 0x40000000") from error
    return open_image(
        path, allow_truncated=allow_truncated, cache=cache_folder(cache), progress=progress(), base=number
    )


def find_kernel(
    memory: PhysicalMemory,
    *,
    cache: Path | None,
    btf: Path | None = None,
    kallsyms: Path | None = None,
    isf: Path | None = None,
    gaps: Gaps | None = None,
) -> tuple[Anchors, Kernel]:
    """Locate the kernel and open its address space. Its `memory` may be another view of the file than the one given."""
    from memir.kernel.find import find_kernel as find
    from memir.symbols.locate import Given
    from memir.symbols.store import Store

    gaps = gaps if gaps is not None else Gaps()
    kernel = find(memory, Given(btf, kallsyms, isf), Store(cache_folder(cache)), gaps)
    return kernel.anchors, kernel


def partial(node: RamSource, *, allow_truncated: bool) -> int:
    """The exit code that the share of RAM in the image asks for: 3 where some is missing and that is not allowed."""
    from memir.errors import EXIT_DONE, EXIT_EVIDENCE

    return EXIT_DONE if node.coverage.whole or allow_truncated else EXIT_EVIDENCE


def print_json(document: Any) -> None:
    """One JSON document on stdout. Text from the image goes out with everything that is not ASCII escaped."""
    from memir.text import say_json

    say_json(document)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], limit: int | None = None) -> None:
    """A table on stdout, every cell made safe for a terminal; unwrapped columns if stdout is not a terminal."""
    from memir.report.grid import print_grid

    print_grid(columns, rows, limit=limit)
