# SPDX-License-Identifier: Apache-2.0
"""`memir info IMAGE`: what an image is."""

from __future__ import annotations

from typing import Annotated, Any

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
    progress,
)
from memir.text import say


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
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Format, size, kernel, paging and KASLR of an image, and where its symbols come from."""
    from memir.errors import SymbolsError

    memory = open_memory(image, cache=cache, allow_truncated=allow_truncated, base=base)
    facts = image_facts(memory)
    if sha256:
        facts["sha256"] = memory.sha256(progress())
    failure: SymbolsError | None = None
    try:
        anchors, kernel = find_kernel(memory, cache=cache, btf=btf, kallsyms=kallsyms, isf=isf)
        facts["kernel"] = kernel_facts(anchors, kernel)
        facts["gaps"] = [
            {"kind": gap.kind, "where": gap.where, "why": gap.why, "count": gap.count} for gap in kernel.gaps
        ]
    except SymbolsError as error:
        facts["kernel"], failure = None, error
    if json:
        print_json(facts | ({"error": str(failure)} if failure else {}))
    else:
        _print(facts)
    if failure is not None:
        raise failure


def image_facts(memory: Any) -> dict[str, Any]:
    """What is known of the image file itself; sizes in bytes."""
    return {
        "image": str(memory.path),
        "format": memory.format,
        "container": memory.container,
        "file_size": memory.file_size,
        "ram_size": memory.size,
        "missing": memory.missing,
        "ranges": [{"start": part.start, "size": part.size} for part in memory.ranges],
        "sha256": None,
    }


def kernel_facts(anchors: Any, kernel: Any) -> dict[str, Any]:
    """What is known of the kernel; addresses as integers."""
    return {
        "arch": anchors.arch,
        "release": anchors.release,
        "banner": anchors.banner,
        "build_id": anchors.build_id,
        "kaslr_shift": anchors.shift,
        "paging_levels": kernel.space.fmt.levels,
        "page_table": kernel.space.root,
        "direct_map": kernel.space.direct_delta if anchors.arch == "x86_64" else kernel.space.direct[0],
        "symbols": len(anchors.symbols.addresses),
        "sources": dict(anchors.sources),
    }


def _print(facts: dict[str, Any]) -> None:
    def line(name: str, value: object) -> None:
        say(f"{name:<14}{value}")

    line("image", facts["image"])
    line("format", facts["format"] + (f" inside {facts['container']}" if facts["container"] else ""))
    line("file", f"{facts['file_size']:,} bytes")
    ranges = facts["ranges"]
    line("RAM", f"{facts['ram_size']:,} bytes in {len(ranges)} range{'s' if len(ranges) != 1 else ''}")
    for part in ranges[:16]:
        line("", f"{part['start']:#014x} - {part['start'] + part['size'] - 1:#014x}")
    if len(ranges) > 16:
        line("", f"... and {len(ranges) - 16} more")
    if facts["missing"]:
        line("MISSING", f"{facts['missing']:,} bytes that the headers promise are not in the file")
    if facts["sha256"]:
        line("sha256", facts["sha256"])
    kernel = facts["kernel"]
    if kernel is None:
        return
    line("kernel", kernel["banner"])
    line(
        "architecture",
        f"{kernel['arch']}, {kernel['paging_levels']}-level page tables at {kernel['page_table']:#x}",
    )
    line("KASLR shift", "not known" if kernel["kaslr_shift"] is None else f"{kernel['kaslr_shift']:#x}")
    line("build id", kernel["build_id"] or "not known")
    line("types", kernel["sources"]["types"])
    line("symbols", f"{kernel['symbols']:,} from {kernel['sources']['symbols']}")
    for gap in facts["gaps"]:
        line("gap", f"{gap['kind']}: {gap['why']} ({gap['count']})")
