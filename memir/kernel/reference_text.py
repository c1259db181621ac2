# SPDX-License-Identifier: Apache-2.0
"""The kernel's text and read-only data against those of its build: what differs where the kernel writes nothing.

Only the kernel's own core: no modules, no text that is freed after boot, and no data that is read-only only after it
(__ro_after_init), which differs at each boot.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memir.errors import SymbolsError
from memir.kernel.buildid import build_id
from memir.kernel.bzimage import open_kernel
from memir.kernel.code_address import CodeMap, Hook
from memir.kernel.ftrace_entries import jump_target
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.patch_sites import patch_sites
from memir.kernel.rows import distinct
from memir.kernel.vmlinux import Bytes, Vmlinux

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KIND = "kernel text"
_PAGE = 4096
MOST = 128 << 20  # bytes of text and read-only data; 27 MB in Debian's kernels
_NEAR = 16  # bytes: differences that are not further apart are one change
_MOST_CHANGES = 1 << 12
_TOO_MANY = 0.5  # share of the bytes of a page that differ: its content is something else


@dataclass(frozen=True)
class Reference:
    """Text and read-only data as the image's kernel was built, moved to where it runs.

    start: address in the image of content[0]; text: bytes of it that are text, before read-only data. judged: bytes
    that are text or read-only data and that the kernel does not write itself. sites: how many those it does write are.
    """

    start: int
    content: Bytes
    text: int
    judged: Bools
    sites: int


def read_reference(path: Path, kernel: Kernel) -> Reference:
    """From the build's vmlinuz or vmlinux. SymbolsError if it is no such file, or not of this kernel's build."""
    if kernel.anchors.arch != "x86_64":
        raise SymbolsError(f"--reference {path}: the image's kernel is {kernel.anchors.arch}: only the text of x86-64 "
                           "kernels is compared; leave it out")  # fmt: skip
    vmlinux = Vmlinux(open_kernel(path))
    ours, theirs = build_id(kernel), vmlinux.build_id
    if ours is None:
        raise SymbolsError(f"--reference {path}: the image does not tell its kernel's build id, so it cannot be told "
                           "whether this is its build; leave it out")  # fmt: skip
    if ours != theirs:
        wanted = f"/boot/vmlinuz-{kernel.anchors.release}"
        raise SymbolsError(f"--reference {path}: another kernel's build (build id {theirs or 'none'}, the image's is "
                           f"{ours}): give {wanted} of the node or of its package")  # fmt: skip
    text, data, after = (vmlinux.sections.get(name) for name in (".text", ".rodata", ".data"))
    if text is None or data is None or after is None or not 0 < text.size <= data.address - text.address < MOST:
        raise SymbolsError(f"{path}: without text and read-only data; give the build's vmlinuz or vmlinux")
    return _reference(path, vmlinux, kernel, text.address, text.size)


def _reference(path: Path, vmlinux: Vmlinux, kernel: Kernel, base: int, text: int) -> Reference:
    if "_text" not in kernel.symbols:
        raise SymbolsError(f"--reference {path}: where the kernel's text lies is not known (no symbol `_text`); give "
                           "its addresses with --kallsyms")  # fmt: skip
    shift = kernel.symbols["_text"] - (base + (1 << 64))
    first = vmlinux.sections[".rodata"].address
    last = min(vmlinux.sections[".data"].address, base + MOST)
    parts = [vmlinux.sections[".text"]] + [
        section for section in vmlinux.sections.values()
        if section.loaded and first <= section.address and section.address + section.size <= last
    ]  # fmt: skip
    size = max(section.address + section.size for section in parts) - base
    content, judged = np.zeros(size, np.uint8), np.zeros(size, np.bool_)
    for section in parts:
        here = slice(section.address - base, section.address - base + section.size)
        content[here], judged[here] = vmlinux.content(section.name), True
    _relocate(path, vmlinux, content, base, shift)
    names = [kernel.symbols.get(name) for name in ("__start_ro_after_init", "__end_ro_after_init")]
    if None in names:
        judged[first - base :] = False  # which of it is written at the start is not known
        kernel.gaps.add(KIND, "__start_ro_after_init", "no such symbol: read-only data is not judged")
    else:
        begin, end = (min(max(int(name or 0) - kernel.symbols["_text"], 0), size) for name in names)
        judged[begin:end] = False
    whole = int(judged.sum())
    strike(judged, [(places - base, sizes) for places, sizes in patch_sites(vmlinux, kernel, shift)])
    return Reference(kernel.symbols["_text"], content, text, judged, whole - int(judged.sum()))


def _relocate(path: Path, vmlinux: Vmlinux, content: Bytes, base: int, shift: int) -> None:
    """Add the shift wherever the content holds an address. SymbolsError where it is not known where that is."""
    if not shift:
        return
    table = vmlinux.relocations()
    if table is None:
        raise SymbolsError(f"{path}: has no relocations, and the image's kernel was moved by {shift:#x} (KASLR): give "
                           "the build's vmlinuz, which has them")  # fmt: skip
    for places, kind, add in ((table.words, "<u4", shift), (table.inverse, "<u4", -shift), (table.quads, "<u8", shift)):
        width = np.dtype(kind).itemsize
        inside = distinct(places[(places >= base) & (places - base <= len(content) - width)] - base)
        index = inside[:, None] + np.arange(width)
        value = np.ascontiguousarray(content[index]).view(kind)[:, 0]
        value = value + np.array(add % (1 << 8 * width), kind)
        content[index] = value.astype(kind).view(np.uint8).reshape(-1, width)


def strike(judged: Bools, sites: list[tuple[I64, I64]]) -> None:
    """What the kernel writes itself is not judged. sites: (places from the start of `judged`, anywhere; bytes)."""
    edges = np.zeros(len(judged) + 1, np.int32)
    for places, sizes in sites:
        inside = (places >= 0) & (places < len(judged)) & (sizes > 0)
        np.add.at(edges, places[inside], 1)
        np.add.at(edges, np.minimum(places[inside] + sizes[inside], len(judged)), -1)
    judged[np.cumsum(edges[:-1], dtype=np.int32) > 0] = False


def changed_text(kernel: Kernel, code: CodeMap, reference: Reference) -> list[Hook]:
    """Runs of bytes that differ; kind text or rodata, name: the symbol there, value: the bytes before and now.

    Gaps: bytes that the kernel writes itself, pages that the image lacks, pages that hold something else.
    """
    now, there = _read(kernel, reference)
    kernel.gaps.add(KIND, "alternatives, jump labels, static calls, ftrace ...",
                    "bytes that the kernel writes itself: not judged", reference.sites)  # fmt: skip
    differs = reference.judged & (now != reference.content)
    starts = np.arange(0, len(differs), _PAGE)
    judged = np.add.reduceat(reference.judged, starts, dtype=np.int64)
    share = np.add.reduceat(differs, starts, dtype=np.int64) / np.maximum(judged, 1)
    absent, other = ~there & (judged > 0), there & (share > _TOO_MANY) & (judged > _NEAR)
    for pages, why in ((absent, "page is not in the image: not judged"), (other, "page that holds something else")):
        if pages.any():
            where = reference.start + _PAGE * int(pages.argmax())
            kernel.gaps.add(KIND, f"{where:#x}", why, int(pages.sum()))
    differs &= ~np.repeat(absent | other, _PAGE)[: len(differs)]
    place = np.flatnonzero(differs)
    if not len(place):
        return []
    runs = np.split(place, np.flatnonzero(np.diff(place) > _NEAR) + 1)
    kernel.gaps.add(KIND, f"{reference.start + int(place[0]):#x}", "more changes than are listed",
                    len(runs) - _MOST_CHANGES)  # fmt: skip
    return [_change(code, reference, now, int(run[0]), int(run[-1]) + 1) for run in runs[:_MOST_CHANGES]]


def _read(kernel: Kernel, reference: Reference) -> tuple[Bytes, Bools]:
    """(bytes of the image in pages that are judged, whether each page is there): one of zeros was not captured."""
    size = len(reference.content)
    starts = np.arange(0, size, _PAGE)
    judged = np.flatnonzero(np.logical_or.reduceat(reference.judged, starts))
    pages: U64 = np.uint64(reference.start) + starts[judged].astype(np.uint64)
    raw, read = kernel.read_bytes(pages, _PAGE)
    blank = np.logical_or.reduceat(reference.content != 0, starts)[judged] == 0
    now, there = np.zeros((len(starts), _PAGE), np.uint8), np.zeros(len(starts), np.bool_)
    now[judged], there[judged] = raw, read & (raw.any(axis=1) | blank)
    return now.reshape(-1)[:size], there


def _change(code: CodeMap, reference: Reference, now: Bytes, first: int, end: int) -> Hook:
    address = reference.start + first
    text = first < reference.text
    name = code.symbol_at(address) or f"{address:#x}"
    before, after = (data[first : min(end, first + _NEAR)].tobytes().hex() for data in (reference.content, now))
    target = jump_target(address, now[first : first + 16].tobytes().ljust(16, b"\0")) if text else 0
    return Hook("text" if text else "rodata", name, address, target, f"{before} -> {after}")
