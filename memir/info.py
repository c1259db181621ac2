# SPDX-License-Identifier: Apache-2.0
"""What an image is: its format, its ranges, its kernel, when it was taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.errors import KernelError, SymbolsError
from memir.gaps import Gaps

if TYPE_CHECKING:
    from memir.image.memory import PhysicalMemory
    from memir.kernel.engine import Kernel
    from memir.symbols.anchors import Anchors


@dataclass(frozen=True)
class ImageInfo:
    """What is known of an image. facts: a document as `memir info --json` prints it, sizes in bytes.

    failure: why no kernel could be opened in it; facts["kernel"] is then None.
    """

    facts: dict[str, Any]
    failure: SymbolsError | KernelError | None = None
    gaps: Gaps = field(default_factory=Gaps)

    @property
    def whole(self) -> bool:
        """Whether all of the node's System RAM is known to be in the image."""
        return bool(self.facts.get("ram_share", 0) >= 1)


def describe(
    image: str | Path,
    *,
    sha256: bool = False,
    btf: str | Path | None = None,
    kallsyms: str | Path | None = None,
    isf: str | Path | None = None,
    base: int | str | None = None,
    cache: str | Path | None = None,
    allow_truncated: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> ImageInfo:
    """Describe an image; arguments as of memir.open. sha256: hash the whole file too.

    An image in which no kernel is found is described all the same. ImageError if it is no image.
    """
    from memir.kernel.find import find_kernel
    from memir.kernel.ram import coverage
    from memir.open_node import cache_folder, open_memory
    from memir.symbols.locate import Given
    from memir.symbols.store import Store

    gaps = Gaps()
    with open_memory(image, cache=cache, allow_truncated=allow_truncated, base=base, progress=progress) as memory:
        facts = image_facts(memory)
        if sha256:
            facts["sha256"] = memory.sha256(progress)
        given = Given(*(Path(path) if path is not None else None for path in (btf, kallsyms, isf)))
        try:
            kernel = find_kernel(memory, given, Store(cache_folder(cache)), gaps)
            if kernel.memory is not memory:  # a raw file whose offsets are no addresses: its RAM as it is read
                facts |= {name: image_facts(kernel.memory)[name] for name in ("ram_size", "ranges")}
            facts["kernel"] = kernel_facts(kernel.anchors, kernel)
            present = coverage(kernel)
            facts |= {**present.facts(), "coverage": present.text(), **taken(kernel)}
        except (SymbolsError, KernelError) as error:
            facts |= {"kernel": None, "coverage": None, "clock": None, "booted": None, "smear": None}
            return ImageInfo(facts, error, gaps)
        finally:
            facts["gaps"] = [{"kind": gap.kind, "where": gap.where, "why": gap.why, "count": gap.count} for gap in gaps]
    return ImageInfo(facts, None, gaps)


def image_facts(memory: PhysicalMemory) -> dict[str, Any]:
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


def kernel_facts(anchors: Anchors, kernel: Kernel) -> dict[str, Any]:
    """What is known of the kernel; addresses as integers."""
    space: Any = kernel.space
    return {
        "arch": anchors.arch,
        "release": anchors.release,
        "banner": anchors.banner,
        "build_id": anchors.build_id,
        "kaslr_shift": anchors.shift,
        "paging_levels": space.fmt.levels,
        "page_table": space.root,
        "direct_map": space.direct_delta if anchors.arch == "x86_64" else space.direct[0],
        "symbols": len(anchors.symbols.addresses),
        "sources": dict(anchors.sources),
    }


def taken(kernel: Kernel) -> dict[str, Any]:
    """clock: when the RAM was taken; booted: when the node was started. By the image's own clock, ISO 8601, UTC.

    smear: over how long it was taken: seconds (at least; null is not known), and in words.
    """
    from memir.kernel.smear import smear
    from memir.kernel.timekeeping import clocks, wall_clock

    measured = smear(kernel)
    return {
        "clock": iso_time(wall_clock(kernel)),
        "booted": iso_time(clocks(kernel)[0]),
        "smear": {"seconds": measured.facts()["seconds"], "text": measured.took()},
    }


def iso_time(nanoseconds: int | None) -> str | None:
    """Nanoseconds since 1970 as ISO 8601 in UTC, to the microsecond; None for a time that no calendar has."""
    from memir.kernel.timekeeping import utc

    if nanoseconds is None:
        return None
    try:
        return utc(nanoseconds).isoformat()
    except OverflowError:
        return None
