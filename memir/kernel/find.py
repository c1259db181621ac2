# SPDX-License-Identifier: Apache-2.0
"""Find the kernel of an image, and for raw files the layout that lets its whole RAM be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from memir.errors import BtfError, ImageError, KernelError, SymbolsError
from memir.gaps import Gaps
from memir.image.layout import MAX_PHYSICAL, Segment
from memir.kernel import fits, ram, raw_layout
from memir.kernel.engine import Kernel
from memir.symbols import btf_file
from memir.symbols.locate import Given, locate
from memir.symbols.shift import shifts
from memir.symbols.store import Store

if TYPE_CHECKING:
    from memir.image.memory import PhysicalMemory


def find_kernel(
    memory: PhysicalMemory, given: Given | None = None, store: Store | None = None, gaps: Gaps | None = None
) -> Kernel:
    """Locate the kernel and open its address space, for a raw file with the layout that explains it.

    The kernel's `memory` is the one given or, if that lacks RAM that the kernel counts and another layout of the same
    file explains it, a view of the file in that layout, whose `repairs` say so. Raises what locate() and Kernel() do.
    """
    given, store, gaps = given or Given(), store or Store(None), gaps if gaps is not None else Gaps()
    attempt = Gaps()
    failure: SymbolsError | KernelError | None = None
    kernel: Kernel | None = None
    if given.btf is not None:
        btf_file.read(given.btf)  # what is no BTF at all says nothing of the image
    try:
        kernel = Kernel(memory, locate(memory, given, store, attempt), attempt)
        wrong = fits.mismatch(kernel) if given.btf is not None else None
    except (SymbolsError, KernelError) as error:
        failure, wrong = error, f"with it {error}"
    if given.btf is not None and wrong is not None and (failure is None or _own_types(memory, given, store)):
        raise BtfError(
            f"{given.btf}: these are not the types of the image's kernel: {wrong}. Leave --btf out, or give "
            "/sys/kernel/btf/vmlinux of a node that runs this very kernel"
        )
    # a base that the user gave is believed
    if memory.format == "raw" and memory.ranges[0].start == 0 and (kernel is None or not ram.coverage(kernel).whole):
        better = _rearranged(memory, kernel, given, store)
        if better is not None:
            kernel, attempt = better
    gaps.extend(attempt)
    for text in (kernel.memory if kernel else memory).repairs:
        gaps.add("image", str(memory.path), text)
    if kernel is None:
        assert failure is not None
        raise failure
    lacking = ram.coverage(kernel)
    if not lacking.whole:
        where = f"from {lacking.missing[0].start:#x}" if lacking.missing else str(memory.path)
        gaps.add(ram.GAP, where, "bytes of System RAM that the image lacks", lacking.total - lacking.present)
    return Kernel(kernel.memory, kernel.anchors, gaps)


def _own_types(memory: PhysicalMemory, given: Given, store: Store) -> bool:
    """Whether the kernel is found with the types that the image itself has: then those given are to blame."""
    try:
        _located(memory, replace(given, btf=None), store)
    except (SymbolsError, KernelError):
        return False
    return True


def _rearranged(memory: PhysicalMemory, plain: Kernel | None, given: Given, store: Store) -> tuple[Kernel, Gaps] | None:
    """The kernel over the layout that explains the file best, if that is better than an offset for an address."""
    met = raw_layout.links_met(memory, plain) if plain is not None else 0
    share = ram.coverage(plain).share if plain is not None else 0.0
    for shift in [0] if plain is not None else shifts(memory):
        try:
            first = plain or _located(_shifted(memory, shift), given, store)[0]
            layout = raw_layout.explain(memory, first, shift)
            if layout is None:
                continue
            words = f"an offset in this raw file is not an address: {layout.words}; read accordingly"
            kernel, gaps = _located(memory.rearranged(layout.segments, words), given, store)
        except (SymbolsError, KernelError, ImageError):
            continue  # this difference explains nothing: the next one, or the error of the plain file
        better = raw_layout.links_met(kernel.memory, kernel)
        if better > met or (better == met and ram.coverage(kernel).share > share):
            return kernel, gaps
    return None


def _located(memory: PhysicalMemory, given: Given, store: Store) -> tuple[Kernel, Gaps]:
    gaps = Gaps()
    return Kernel(memory, locate(memory, given, store, gaps), gaps), gaps


def _shifted(memory: PhysicalMemory, shift: int) -> PhysicalMemory:
    """The file with all its offsets moved by the same amount."""
    start, skipped = max(shift, 0), max(-shift, 0)
    if skipped >= memory.end or start + memory.end > MAX_PHYSICAL:
        raise ImageError(f"{memory.path}: no memory is left when its offsets are moved by {shift:#x}")
    return memory.rearranged([Segment(start, memory.end - skipped, skipped)], "")
