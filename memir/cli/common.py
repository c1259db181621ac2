"""What the verbs share: options, opening an image, printing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.gaps import Gaps

if TYPE_CHECKING:
    from rich.console import Console

    from memir.image.memory import PhysicalMemory
    from memir.kernel.engine import Kernel
    from memir.symbols.anchors import Anchors

ImageArgument = Annotated[
    str, typer.Argument(metavar="IMAGE", help="RAM image (any format), evidence folder or s3:// address.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
CacheOption = Annotated[Path | None, typer.Option("--cache", help="Folder for unpacked images and decoded symbols.")]
TruncatedOption = Annotated[
    bool, typer.Option("--allow-truncated", help="Open an image that lacks bytes its headers promise.")
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


def cache_folder(chosen: Path | None) -> Path:
    """--cache, else $MEMIR_CACHE, else memir below the XDG cache folder."""
    if chosen is not None:
        return chosen
    if os.environ.get("MEMIR_CACHE"):
        return Path(os.environ["MEMIR_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memir"


def console(*, stderr: bool = False) -> Console:
    """A rich console that leaves text as it is: no markup, no emoji codes, no guessing at numbers."""
    from rich.console import Console

    out = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not out.is_terminal:
        out.width = 10_000  # a file or a pipe has no edge to wrap at
    return out


def progress() -> Callable[[str, int, int], None] | None:
    """A progress line on stderr, only if that is a terminal."""
    if not sys.stderr.isatty():
        return None
    last = ""

    def show(what: str, done: int, total: int) -> None:
        nonlocal last
        part = f"{100 * done // total:3d} %" if total else f"{done >> 20} MiB"
        line = f"\r{what} {part}"
        if line != last:
            print(
                line,
                end="" if done < total or not total else "\r" + " " * len(line) + "\r",
                file=sys.stderr,
                flush=True,
            )
            last = line

    return show


def open_memory(
    image: str, *, cache: Path | None, allow_truncated: bool = False, base: str | None = None
) -> PhysicalMemory:
    """Open an image file, an evidence folder's image or an s3:// object."""
    from memir.errors import UsageError
    from memir.image.open import open_image

    path: str | Path = image
    if not image.startswith("s3://") and Path(image).is_dir():
        from memir.acquire.evidence import address_of, is_evidence

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
    """Locate the kernel and open its address space."""
    from memir.kernel.engine import Kernel
    from memir.symbols.locate import Given, locate
    from memir.symbols.store import Store

    gaps = gaps if gaps is not None else Gaps()
    anchors = locate(memory, Given(btf, kallsyms, isf), Store(cache_folder(cache)), gaps)
    return anchors, Kernel(memory, anchors, gaps)


def print_json(document: Any) -> None:
    """One JSON document on stdout. Text from the image goes out with everything that is not ASCII escaped."""
    json.dump(document, sys.stdout, default=_plain, allow_nan=False)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """A table on stdout, every cell made safe for a terminal; unwrapped columns if stdout is not a terminal."""
    from rich import box
    from rich.table import Table

    from memir.text import safe

    table = Table(*[safe(str(name)) for name in columns], title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*["" if cell is None else safe(cell_text(cell)) for cell in row])
    console().print(table)


def cell_text(value: Any) -> str:
    """One cell as a person reads it: lists joined, times in UTC."""
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    isoformat = getattr(value, "isoformat", None)
    if isoformat:
        return str(isoformat(sep=" ", timespec="seconds") if hasattr(value, "hour") else isoformat())
    return str(value)
