# SPDX-License-Identifier: Apache-2.0
"""The kernel's text and read-only data against those in another image of the same build: equal, or not judged.

A running kernel has written into its text, and the tables that say where are freed after boot, all but those of jump
labels, static calls and ftrace. What differs elsewhere may be another processor's alternatives, or an intruder's: it
is counted with its place, and is neither a change nor clean. Only the build's vmlinuz can tell (reference_text.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memir.errors import SymbolsError
from memir.kernel.buildid import build_id
from memir.kernel.code_address import CodeMap
from memir.kernel.ftrace_entries import records
from memir.kernel.pagetable import I64, Bools
from memir.kernel.patch_sites import INSTRUCTION, TABLES, TRAMPOLINES
from memir.kernel.reference_text import MOST, strike
from memir.kernel.vmlinux import Bytes

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KIND = "kernel text beside another image"
_PAGE = 4096
_PARTS = (("_text", "_etext"), ("__start_rodata", "__end_rodata"))
_WRITTEN = (("__start_ro_after_init", "__end_ro_after_init"), TRAMPOLINES)


@dataclass(frozen=True)
class ImageReference:
    """start: where the image that is looked at has its `_text`. content: the other image's bytes from its own one on.

    shift: how much further up the looked-at kernel lies, modulo 2**64. judged: bytes that are text or read-only data,
    whose page the other image has, and that no table names which both still have. sites: how many those named are.
    absent: pages that the other image lacks.
    """

    start: int
    content: Bytes
    shift: int
    judged: Bools
    sites: int
    absent: int


def read_image_reference(path: Path, other: Kernel, kernel: Kernel) -> ImageReference:
    """From the kernel in another image. SymbolsError if it is of another build, or its text cannot be found."""
    ours, theirs = build_id(kernel), build_id(other)
    if ours is None or theirs is None:
        raise SymbolsError(f"--reference {path}: {'it' if theirs is None else 'the analysed image'} does not tell its "
                           "kernel's build id, so they cannot be told to be of one build; leave it out")  # fmt: skip
    if ours != theirs:
        raise SymbolsError(f"--reference {path}: an image of another kernel's build (build id {theirs}, the analysed "
                           f"one's is {ours}): give one of a node with the same kernel package")  # fmt: skip
    lacking = [name for part in _PARTS for name in part if name not in kernel.symbols or name not in other.symbols]
    if lacking:
        raise SymbolsError(f"--reference {path}: where the kernel's text lies is not known (no symbol `{lacking[0]}`); "
                           "give its addresses with --kallsyms")  # fmt: skip
    start = other.symbols["_text"]
    size = other.symbols["__end_rodata"] - start
    if not 0 < size <= MOST:
        raise SymbolsError(f"--reference {path}: its kernel's text and read-only data would be {size} bytes")
    content, there = pages_of(other, start, size)
    judged = np.zeros(size, np.bool_)
    for first, end in _PARTS:
        judged[other.symbols[first] - start : other.symbols[end] - start] = True
    absent = int((np.logical_or.reduceat(judged, np.arange(0, size, _PAGE)) & ~there).sum())
    judged &= _inside(there, size)
    for first, end in _WRITTEN:
        if first in other.symbols and end in other.symbols:
            low, high = other.symbols[first] - start, other.symbols[end] - start
            judged[max(low, 0) : max(high, 0)] = False
    whole = int(judged.sum())
    shift = (kernel.symbols["_text"] - start) % (1 << 64)
    strike(judged, [_of_both(other, start), _of_both(kernel, kernel.symbols["_text"])])
    return ImageReference(kernel.symbols["_text"], content, shift, judged, whole - int(judged.sum()), absent)


def not_judged(kernel: Kernel, code: CodeMap, reference: ImageReference) -> None:
    """Count what differs, and what could not be compared, as gaps of kind KIND; a word that was moved with the
    kernel is equal."""
    now, there = pages_of(kernel, reference.start, len(reference.content))
    gaps = kernel.gaps
    gaps.add(KIND, "jump labels, static calls, ftrace", "bytes that the kernel writes itself: not judged",
             reference.sites)  # fmt: skip
    gaps.add(KIND, "--reference", "page is not in the other image: not judged", reference.absent)
    judged = reference.judged & _inside(there, len(now))
    lost = np.logical_or.reduceat(reference.judged, np.arange(0, len(now), _PAGE)) & ~there
    where = f"{reference.start + _PAGE * int(lost.argmax()):#x}"
    gaps.add(KIND, where, "page is not in the image: not judged", int(lost.sum()))
    differs = judged & (now != reference.content)
    differs &= ~moved(now, reference.content, reference.shift)
    if differs.any():
        place = reference.start + int(differs.argmax())
        gaps.add(KIND, f"{code.symbol_at(place) or hex(place)}", "bytes that differ from the other image's and that no "
                 "surviving table names: not judged", int(differs.sum()))  # fmt: skip


def moved(now: Bytes, before: Bytes, shift: int) -> Bools:
    """Bytes of words of 32 bits, at any place, that differ by as much as the kernel lies elsewhere, up or down.

    KASLR moves by multiples of 2 MiB within 2 GiB: of a word of 64 bits, too, only the lower half changes.
    """
    equal = np.zeros(len(now), np.bool_)
    if not shift:
        return equal
    up, down = np.uint32(shift % (1 << 32)), np.uint32(-shift % (1 << 32))
    for lead in range(4):
        count = (len(now) - lead) // 4
        words = [data[lead : lead + 4 * count].view("<u4") for data in (now, before)]
        by = words[0] - words[1]
        hit = np.repeat((by == up) | (by == down), 4)
        equal[lead : lead + 4 * count] |= hit
    return equal


def _inside(there: Bools, size: int) -> Bools:
    """bool[size]: bytes of pages that are there, but for those of which a word may reach into a page that is not."""
    every = np.repeat(there, _PAGE)[:size]
    inside = every.copy()
    for step in range(1, 4):
        inside[step:] &= every[:-step]
        inside[:-step] &= every[step:]
    return inside


def pages_of(kernel: Kernel, start: int, size: int) -> tuple[Bytes, Bools]:
    """(uint8[size], bool[pages]: it is there) from this address on; a page of zeros was not captured."""
    pages = np.arange(start, start + size, _PAGE, dtype=np.uint64)
    raw, read = kernel.read_bytes(pages, _PAGE)
    return raw.reshape(-1)[:size], read & raw.view("<u8").any(axis=1)


def _of_both(kernel: Kernel, text: int) -> tuple[I64, I64]:
    """(places from `_text` on, bytes) that the tables of a running kernel name."""
    places = [(records(kernel)[0].astype(np.int64) - np.int64(text - (1 << 64)))]
    for first, last, entry in TABLES:
        if first not in kernel.symbols or last not in kernel.symbols:
            continue
        size = kernel.symbols[last] - kernel.symbols[first]
        if not 0 < size <= MOST:
            continue
        rows = np.arange(kernel.symbols[first], kernel.symbols[first] + size - entry + 1, entry, dtype=np.uint64)
        distance, read = kernel.memory.gather_as(kernel.space.physical(rows)[0], "<i4")
        places.append((rows[read].astype(np.int64) + distance[read].astype(np.int64)) - np.int64(text - (1 << 64)))
    every = np.concatenate(places)
    return every, np.full(len(every), INSTRUCTION, np.int64)

