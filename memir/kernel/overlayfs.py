# SPDX-License-Identifier: Apache-2.0
"""fs/overlayfs/ovl_entry.h: the layers of container root file systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.module import module_of_filesystem, types_with_module
from memir.kernel.pagetable import U64
from memir.symbols.types import KernelTypes, Member, TypeRef

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_PATH_MAX = 4096
_MAX_LAYERS = 512  # OVL_MAX_STACK is 500
_POINTER = TypeRef("pointer", 8, "pointer")
_UINT = TypeRef("int", 4, "unsigned int")


@dataclass(frozen=True)
class Layers:
    """upper: directory that takes the changes, None if there is none or it is unreadable. lower: topmost first."""

    upper: str | None
    lower: list[str] | None


class _Linux510:
    """Layout of overlayfs in Linux 5.10, whose modules carry no BTF; from fs/overlayfs/ovl_entry.h of that release."""

    def struct(self, name: str) -> tuple[int, dict[str, Member]] | None:
        config = TypeRef("struct", 56, "ovl_config")
        return {
            "ovl_fs": (
                128,
                {"numlayer": Member(0, _UINT), "layers": Member(8, _POINTER), "config": Member(56, config)},
            ),
            "ovl_config": (56, {"lowerdir": Member(0, _POINTER), "upperdir": Member(8, _POINTER)}),
            "ovl_layer": (32, {"mnt": Member(0, _POINTER)}),
        }.get(name)

    def enum(self, name: str) -> dict[str, int] | None:
        del name
        return None


def overlay_types(kernel: Kernel, superblock: U64) -> KernelTypes | None:
    """Types that include overlayfs's own, for a kernel of which these are overlay superblocks; None if not known."""
    if kernel.types.exists("ovl_fs"):
        return kernel.types
    modules = np.unique(module_of_filesystem(kernel, superblock))
    modules = modules[modules != 0]
    types = types_with_module(kernel, modules[:1]) if len(modules) else None
    if types is not None and types.exists("ovl_fs"):
        return types
    if not kernel.types.has("module", "btf_data"):  # module BTF came with 5.11 (36e68442d1af)
        return kernel.types.with_source(_Linux510())
    return None


def layers(kernel: Kernel, superblock: U64) -> list[Layers]:
    """Upper and lower directories of overlay superblocks, as their mounts' options named them."""
    if not len(superblock):
        return []
    types = overlay_types(kernel, superblock)
    if types is None:
        kernel.gaps.add("overlay", f"{int(superblock[0]):#x}", "layout of overlayfs not known", len(superblock))
        return [Layers(None, None) for _ in superblock]
    info = kernel.pointer(superblock, "super_block", "s_fs_info")
    config = info + np.uint64(types.offset("ovl_fs", "config"))
    upper = _texts(kernel, kernel.pointers(config + np.uint64(types.offset("ovl_config", "upperdir"))))
    if types.has("ovl_config", "lowerdir"):
        raw = _texts(kernel, kernel.pointers(config + np.uint64(types.offset("ovl_config", "lowerdir"))))
        lower: list[list[str] | None] = [None if text is None else _split(text) for text in raw]
    else:
        lower = _lower_array(kernel, types, info, config)
    missing = sum(layer is None for layer in lower)
    kernel.gaps.add("overlay", f"{int(superblock[0]):#x}", "lower directories not readable", missing)
    return [Layers(up, low) for up, low in zip(upper, lower, strict=True)]


def _lower_array(kernel: Kernel, types: KernelTypes, info: U64, config: U64) -> list[list[str] | None]:
    """6.5 (819829f0319a) on: an array of strings, the whole option at 0 and layer i at i."""
    array = kernel.pointers(config + np.uint64(types.offset("ovl_config", "lowerdirs")))
    counts = kernel.pointers(info + np.uint64(types.offset("ovl_fs", "numlayer"))) & np.uint64(0xFFFFFFFF)
    out: list[list[str] | None] = []
    for start, count in zip(array.tolist(), counts.tolist(), strict=True):
        if not start or not 1 <= count <= _MAX_LAYERS:
            out.append(None)
            continue
        slots = np.array([start + 8 * layer for layer in range(1, count)], np.uint64)
        names = _texts(kernel, kernel.pointers(slots))
        out.append([name for name in names if name is not None] if all(names) else None)
    return out


def _texts(kernel: Kernel, address: U64) -> list[str | None]:
    raw = kernel.strings(address, 64 * _PATH_MAX)
    return [text.decode("utf-8", "backslashreplace") if text else None for text in raw]  # no directory has no name


def _split(text: str) -> list[str]:
    """`lowerdir=a:b`; a colon that belongs to a name is written \\:."""
    parts = text.replace("\\:", "\0").split(":")
    return [part.replace("\0", ":") for part in parts if part]
