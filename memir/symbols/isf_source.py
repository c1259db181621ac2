# SPDX-License-Identifier: Apache-2.0
"""What an ISF is made from: a kernel located in an image, or files taken on the live node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from memir.errors import BtfError, KallsymsError, UsageError
from memir.symbols import btf_file
from memir.symbols.isf_lengths import array_lengths
from memir.symbols.isf_make import IsfSource
from memir.symbols.locate import X86_LINKED_TEXT
from memir.symbols.table import read_kallsyms_text

if TYPE_CHECKING:
    from memir.image.memory import PhysicalMemory
    from memir.symbols.anchors import Anchors


def of_kernel(anchors: Anchors, memory: PhysicalMemory | None = None) -> IsfSource:
    """The ISF of a located kernel; addresses as linked, so that it serves every boot of the same kernel.

    memory: the image that it was located in, for the lengths of arrays that only they themselves tell.
    BtfError or KallsymsError for a kernel whose types or KASLR shift are not known.
    """
    if anchors.btf is None:
        raise BtfError(f"kernel {anchors.release}: no BTF to make an ISF from")
    if anchors.shift is None:
        raise KallsymsError(f"kernel {anchors.release}: the KASLR shift is not known: supply --kallsyms FILE")
    linked = dict(anchors.symbols.shifted(-anchors.shift))
    linked.setdefault("init_task", (anchors.init_task - anchors.shift) & ((1 << 64) - 1))
    lengths = array_lengths(memory, anchors) if memory is not None else None
    return IsfSource(anchors.btf, linked, anchors.banner.encode(), lengths)


def of_files(btf: Path, kallsyms: Path, banner: str) -> tuple[IsfSource, str]:
    """(the ISF, the kernel's release) of /sys/kernel/btf/vmlinux, /proc/kallsyms and /proc/version of one node.

    banner: the text, or a file with it. UsageError for a file that cannot be read, BtfError or KallsymsError for one
    that is malformed.
    """
    try:
        types, text = btf_file.read(btf), banner
        if _is_file(banner):
            text = Path(banner).read_text(errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be read: {error.strerror}") from error
    addresses = read_kallsyms_text(kallsyms)
    x86 = types.struct("pt_regs") is not None and "pstate" not in (types.struct("pt_regs") or (0, {}))[1]
    # on arm64 any base serves: volatility3 finds the shift of each boot itself
    shift = addresses.get("_text", X86_LINKED_TEXT) - X86_LINKED_TEXT if x86 else 0
    words = text.split(" ")
    return IsfSource(types, dict(addresses.shifted(-shift)), text.strip().encode()), words[2] if len(words) > 2 else "?"


def _is_file(banner: str) -> bool:
    """Whether it names a file; a version's text may be longer than any name can be."""
    try:
        return Path(banner).is_file()
    except (OSError, ValueError):
        return False
