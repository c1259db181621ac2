# SPDX-License-Identifier: Apache-2.0
"""What must be known of a kernel before its memory can be walked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from memir.symbols.btf import BtfTypes
from memir.symbols.table import Symbols
from memir.symbols.types import KernelTypes

Architecture = Literal["x86_64", "arm64"]

ADDRESS_MASK = 2**64 - 1


@dataclass(frozen=True)
class Anchors:
    """A located kernel.

    image_delta: virtual minus physical address of the kernel image, modulo 2**64.
    shift: KASLR shift of the image's virtual addresses in bytes; None if the image does not tell.
    symbols: runtime addresses. init_task: virtual address of the first task.
    numbers: NUMBER() lines of VMCOREINFO (phys_base, VA_BITS, PHYS_OFFSET, TCR_EL1_T1SZ, ...); empty without it.
    btf: the image's raw BTF, to which modules' types refer; None if it has none that is readable.
    sources: where each part came from, for the report: kernel, types, symbols, banner.
    """

    arch: Architecture
    release: str
    banner: str
    build_id: str | None
    image_delta: int
    shift: int | None
    init_task: int
    symbols: Symbols
    types: KernelTypes
    btf: BtfTypes | None
    numbers: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    def image_pa(self, va: int) -> int:
        """Physical address of a virtual address inside the kernel image."""
        return (va - self.image_delta) & ADDRESS_MASK
