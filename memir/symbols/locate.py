# SPDX-License-Identifier: Apache-2.0
"""Find the kernel in an image with nothing but the image: its place, its types and its symbols.

The quick way reads VMCOREINFO, which gives the place of the image and, from 6.0 on, of the kallsyms tables. Where it
is missing or damaged, the types are found by BTF's magic, the place by init_task (which points at itself) and the
kallsyms tables by their shape. Every candidate is checked before it is believed: a node can hold other kernels' traces
(crash kernel, virtual machines' memory).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memir.errors import AbsentMemoryError, BtfError, KallsymsError, KernelNotFoundError, SymbolsError
from memir.gaps import Gaps
from memir.image.memory import PhysicalMemory
from memir.symbols import btf_file, kallsyms, vmcoreinfo
from memir.symbols.anchors import ADDRESS_MASK, Anchors, Architecture
from memir.symbols.btf import BtfTypes
from memir.symbols.search import IMAGE_SPAN, btf_between, find_banner, find_btf, find_init_tasks, image_span
from memir.symbols.store import Store
from memir.symbols.table import Symbols, read_kallsyms_text
from memir.symbols.types import KernelTypes
from memir.symbols.vmcoreinfo import VmcoreInfo

X86_START_KERNEL_MAP = 0xFFFF_FFFF_8000_0000
X86_LINKED_TEXT = 0xFFFF_FFFF_8100_0000
_KALLSYMS = (
    "kallsyms_names",
    "kallsyms_num_syms",
    "kallsyms_token_table",
    "kallsyms_token_index",
    "kallsyms_offsets",
)


@dataclass(frozen=True)
class Given:
    """Files from the live node or elsewhere that replace what the image lacks."""

    btf: Path | None = None
    kallsyms: Path | None = None
    isf: Path | None = None


@dataclass(frozen=True)
class _Place:
    arch: Architecture
    delta: int
    release: str
    info: VmcoreInfo | None
    init_task: int | None = None


def _places(memory: PhysicalMemory) -> Iterator[_Place]:
    """Places of kernel images that VMCOREINFO pages name and the image confirms (its utsname is where it must be)."""
    for info in vmcoreinfo.find(memory):
        arch: Architecture
        if "kimage_voffset" in info.numbers:
            arch, delta = "arm64", info.numbers["kimage_voffset"]
        elif "phys_base" in info.numbers:
            arch, delta = "x86_64", (X86_START_KERNEL_MAP - info.numbers["phys_base"]) & ADDRESS_MASK
        else:
            continue
        uts = info.symbols.get("init_uts_ns")
        if uts is None:
            continue
        try:
            text = memory.read((uts - delta) & ADDRESS_MASK, 512)
        except AbsentMemoryError:
            continue
        if b"Linux\0" in text and info.release.encode() + b"\0" in text:
            yield _Place(arch, delta, info.release, info)


def locate(
    memory: PhysicalMemory, given: Given | None = None, store: Store | None = None, gaps: Gaps | None = None
) -> Anchors:
    """The kernel of the image.

    Raises KernelNotFoundError if none is found, BtfError or KallsymsError if its types or addresses are not in the
    image and were not given, saying what to supply.
    """
    given = given or Given()
    gaps = gaps if gaps is not None else Gaps()
    store = store or Store(None)
    if given.isf is not None:
        from memir.symbols.locate_isf import locate_with_isf

        place = next(_places(memory), None)
        return locate_with_isf(memory, given.isf, place.delta if place else None, place.info if place else None)
    failures: list[SymbolsError] = []
    for place in _places(memory):
        try:
            return _complete(memory, place, given, store, gaps)
        except SymbolsError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return _without_vmcoreinfo(memory, given, store, gaps)


def _given_btf(given: Given) -> BtfTypes | None:
    if given.btf is None:
        return None
    return btf_file.read(given.btf)


def _complete(memory: PhysicalMemory, place: _Place, given: Given, store: Store, gaps: Gaps) -> Anchors:
    info = place.info
    extra = dict(info.symbols) if info else {}
    sources = {"kernel": "VMCOREINFO" if info else "init_task"}
    types = _given_btf(given)
    symbols: Symbols | None = None
    if given.kallsyms is not None:
        symbols = _align(read_kallsyms_text(given.kallsyms), extra)
    else:
        try:
            symbols = _symbols_from_image(memory, place, extra, store)
        except (KallsymsError, AbsentMemoryError) as error:
            gaps.add("kallsyms", place.release, str(error))
    if symbols is None:
        symbols = Symbols.from_pairs((), "VMCOREINFO")
    symbols = symbols.with_extra(extra)
    text = symbols.get("_stext") or symbols.get("_text") or symbols.get("swapper_pg_dir") or place.init_task or 0
    if types is None:
        types = _types_from_image(memory, place, symbols, text)
        sources["types"] = "BTF in the image"
    else:
        sources["types"] = "BTF file"
    sources["symbols"] = symbols.source
    known = KernelTypes(types)
    build_id = info.build_id if info else None
    init_task = symbols.get("init_task") or place.init_task
    if init_task is None or not _is_init_task(memory, known, init_task, place.delta):
        near = (text - place.delta) & ADDRESS_MASK
        init_task = next(
            (va for va, pa in find_init_tasks(memory, known, near) if (va - pa) & ADDRESS_MASK == place.delta),
            None,
        )
    if init_task is None:
        raise KernelNotFoundError(
            f"{memory.path}: kernel {place.release}: its first task (swapper/0) is not where the symbols say"
        )
    banner = find_banner(memory, symbols, place.delta, place.release, text)
    if banner is None:
        gaps.add("banner", place.release, "linux_banner not readable")
        banner = f"Linux version {place.release}"
    shift = info.kernel_offset if info else None
    if shift is None and place.arch == "x86_64" and "_text" in symbols:
        shift = symbols["_text"] - X86_LINKED_TEXT
    return Anchors(
        place.arch, place.release, banner, build_id, place.delta, shift, init_task, symbols, known, types,
        info.numbers if info else {}, sources,
    )  # fmt: skip


def _is_init_task(memory: PhysicalMemory, types: KernelTypes, va: int, delta: int) -> bool:
    try:
        comm = memory.read((va + types.offset("task_struct", "comm") - delta) & ADDRESS_MASK, 10)
    except AbsentMemoryError:
        return False
    return comm in (b"swapper/0\0", b"swapper\0\0\0")


def _align(symbols: Symbols, extra: dict[str, int]) -> Symbols:
    """A kallsyms file may be of another boot: move it to where VMCOREINFO says this boot's text is."""
    if "_stext" in extra and "_stext" in symbols:
        return symbols.shifted(extra["_stext"] - symbols["_stext"])
    return symbols


def _symbols_from_image(memory: PhysicalMemory, place: _Place, extra: dict[str, int], store: Store) -> Symbols:
    if all(name in extra for name in _KALLSYMS):
        places = {
            name: (extra[name] - place.delta) & ADDRESS_MASK
            for name in (*_KALLSYMS, "kallsyms_relative_base")
            if name in extra
        }
        count = int.from_bytes(memory.read(places["kallsyms_num_syms"], 4), "little")
        if not 0 < count <= kallsyms.MAX_SYMBOLS:
            raise KallsymsError(f"kallsyms_num_syms at physical {places['kallsyms_num_syms']:#x} is {count}")
        low = min(places.values())
        high = max(max(places.values()) + 1024, places["kallsyms_offsets"] + 4 * count) + 8
        if high - low > 64 << 20:
            raise KallsymsError("the kallsyms tables lie implausibly far apart")
        span = np.frombuffer(memory.read(low, high - low), np.uint8)
        offsets = {name: address - low for name, address in places.items()}
        # kallsyms_markers is not in VMCOREINFO: it lies between the names and the token table
        layouts = kallsyms.layouts_with_markers(
            span, count, offsets["kallsyms_names"], offsets["kallsyms_token_table"], offsets["kallsyms_token_index"],
            offsets["kallsyms_offsets"], offsets.get("kallsyms_relative_base"),
        )  # fmt: skip
    else:
        text = extra.get("_stext") or extra.get("swapper_pg_dir") or place.init_task or 0
        pa = (text - place.delta) & ADDRESS_MASK
        if "_stext" not in extra:  # a place in the data, which lies behind the read-only data
            pa = max(
                pa - IMAGE_SPAN // 2, next((part.start for part in memory.ranges if part.start <= pa < part.end), pa)
            )
        low, span = image_span(memory, pa)
        layouts = kallsyms.find_layouts(span)
    check: dict[str, int] = {name: extra[name] for name in ("_stext", "init_uts_ns", "swapper_pg_dir") if name in extra}
    if place.init_task is not None:
        check["init_task"] = place.init_task
    for layout in layouts:
        offsets_va = (low + layout.offsets + place.delta) & ADDRESS_MASK
        addresses = kallsyms.addresses(span, layout, offsets_va)
        if check and not any((addresses == np.uint64(address)).any() for address in check.values()):
            continue
        names = store.names(span, layout)
        symbols = Symbols(names, addresses, "kallsyms in the image")
        if not check or any(symbols.get(name) == address for name, address in check.items()):
            return symbols
    raise KallsymsError("no kallsyms tables that fit the kernel were found in the image")


def _types_from_image(memory: PhysicalMemory, place: _Place, symbols: Symbols, text: int) -> BtfTypes:
    btf = btf_between(memory, symbols, place.delta)
    if btf is None:  # smeared or absent there: BTF may still be found whole by its magic
        btf = find_btf(memory, near=(text - place.delta) & ADDRESS_MASK)
    if btf is None:
        raise BtfError(f"{memory.path}: {_why_no_btf(place, symbols)}. {_other_types(place)}")
    return btf


def _why_no_btf(place: _Place, symbols: Symbols) -> str:
    """The kernel's linker names where its BTF begins, so a kernel without that name was built without."""
    start = symbols.get("__start_BTF")
    if start is not None:
        pa = (start - place.delta) & ADDRESS_MASK
        return (
            f"the BTF of kernel {place.release} at physical {pa:#x} is not whole in the image (missing or torn pages)"
        )
    if "_stext" in symbols and "_end" in symbols:
        return f"kernel {place.release} was built without BTF (CONFIG_DEBUG_INFO_BTF)"
    return f"kernel {place.release} has no readable BTF in the image"


def _other_types(place: _Place) -> str:
    build = f", build id {place.info.build_id}" if place.info and place.info.build_id else ""
    return (
        "Give --btf FILE (/sys/kernel/btf/vmlinux of a node with this kernel, or its vmlinux), or --isf FILE, made of "
        f"the kernel's debug package (Debian: linux-image-{place.release}-dbg; Amazon Linux, RHEL: "
        f"kernel-debuginfo-{place.release}{build}) with `dwarf2json linux --elf vmlinux > kernel.json`"
    )


def _what_is_there(memory: PhysicalMemory) -> str:
    """How much RAM the file holds of what it promises: the kernel's own part may be what it lacks."""
    size, count = memory.size, len(memory.ranges)
    held = f"{size:,} bytes of RAM up to {memory.end - 1:#x}" + (f" in {count} ranges" if count > 1 else "")
    step = "copy it again, or acquire again"
    if memory.missing > 1:
        share = min(99.9, 100 * size / (size + memory.missing))
        held = f"{held}, {share:.1f} % of what its headers promise ({memory.missing:,} bytes are missing)"
    elif memory.missing:
        held = f"{held}; it ends early, and does not say how much it lacks"
    else:
        raw = memory.format == "raw"
        held += "; a raw file does not say how much the node has" if raw else "; its headers promise no more"
        step = f"compare that with the node's RAM (/proc/iomem, the machine's type), and if it has more, {step}"
    return f"It holds {held}. The kernel's own code and data may lie in what is missing: {step}"


def _without_vmcoreinfo(memory: PhysicalMemory, given: Given, store: Store, gaps: Gaps) -> Anchors:
    types = _given_btf(given) or find_btf(memory, near=None)
    if types is None:
        raise KernelNotFoundError(
            f"{memory.path}: no Linux kernel found: neither VMCOREINFO nor BTF is in the image "
            f"(not a Linux node, an encrypted or damaged image, or a kernel without BTF: then supply --isf FILE)\n"
            f"{_what_is_there(memory)}"
        )
    known = KernelTypes(types)
    arch: Architecture = "arm64" if known.has("pt_regs", "pstate") else "x86_64"
    tasks = list(find_init_tasks(memory, known, near=None))
    if not tasks:
        raise KernelNotFoundError(f"{memory.path}: the kernel's types are there, but not its first task (swapper/0)")
    gaps.add("VMCOREINFO", str(memory.path), "not in the image: the kernel was found by its first task")
    va, pa = tasks[0]
    return _complete(memory, _Place(arch, (va - pa) & ADDRESS_MASK, "", None, va), given, store, gaps)
