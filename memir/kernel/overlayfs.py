# SPDX-License-Identifier: Apache-2.0
"""fs/overlayfs/ovl_entry.h: the layers of container root file systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.blank import whole
from memir.kernel.module import module_of_filesystem, types_with_module
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import distinct
from memir.symbols.types import KernelTypes, Member, TypeRef

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_PATH_MAX = 4096
_MAX_LAYERS = 512  # OVL_MAX_STACK is 500
_POINTER = TypeRef("pointer", 8, "pointer")
_UINT = TypeRef("int", 4, "unsigned int")
_ULONG = TypeRef("int", 8, "unsigned long")
_NEEDS = (("ovl_inode", "vfs_inode"), ("ovl_inode", "__upperdentry"), ("ovl_fs", "numlayer"), ("ovl_fs", "layers"),
          ("ovl_fs", "config"), ("ovl_layer", "mnt"))  # fmt: skip
_OPAQUE = 1  # OVL_E_OPAQUE, a bit's number


@dataclass(frozen=True)
class Layers:
    """upper: directory that takes the changes, None if there is none or it is unreadable. lower: topmost first."""

    upper: str | None
    lower: list[str] | None


class _Linux510:
    """Layout of overlayfs in Linux 5.10, whose modules carry no BTF; from fs/overlayfs/ovl_entry.h of that release."""

    def __init__(self, inode: int) -> None:
        """inode: size of struct inode, which the kernel's own types have."""
        self._inode = inode

    def struct(self, name: str) -> tuple[int, dict[str, Member]] | None:
        config = TypeRef("struct", 56, "ovl_config")
        return {
            "ovl_fs": (
                128,
                {"numlayer": Member(0, _UINT), "layers": Member(8, _POINTER), "config": Member(56, config)},
            ),
            "ovl_config": (56, {"lowerdir": Member(0, _POINTER), "upperdir": Member(8, _POINTER)}),
            "ovl_layer": (32, {"mnt": Member(0, _POINTER)}),
            "ovl_inode": (
                80 + self._inode,
                {"vfs_inode": Member(32, _ULONG), "__upperdentry": Member(32 + self._inode, _POINTER)},
            ),
            "ovl_entry": (24, {"flags": Member(0, _ULONG), "numlower": Member(16, _UINT)}),
        }.get(name)

    def enum(self, name: str) -> dict[str, int] | None:
        del name
        return None


def overlay_types(kernel: Kernel, superblock: U64) -> KernelTypes | None:
    """Types that include overlayfs's own, for a kernel of which these are overlay superblocks; None if not known."""
    if kernel.types.exists("ovl_fs"):
        return kernel.types
    modules = distinct(module_of_filesystem(kernel, superblock))
    modules = modules[modules != 0]
    types = types_with_module(kernel, modules[:1], _NEEDS) if len(modules) else None
    if types is not None:
        return types
    if not kernel.types.has("module", "btf_data"):  # module BTF came with 5.11 (36e68442d1af)
        return kernel.types.with_source(_Linux510(kernel.types.size("inode")))
    return None


@dataclass(frozen=True)
class Entries:
    """What overlays know of their files, a row a dentry: upper uint64[n], the dentry on the upper layer (0: none);
    lower int64[n], directories or files below it (0: there is none; -1: not known); opaque bool[n]."""

    upper: U64
    lower: NDArray[np.int64]
    opaque: Bools


def entries(kernel: Kernel, types: KernelTypes, dentry: U64, inode: U64) -> Entries:
    """Of dentries of overlays and their inodes (addresses) what lies on which layer. types: of overlay_types."""
    own = inode - np.uint64(types.offset("ovl_inode", "vfs_inode"))
    own = np.where(whole(kernel, own, types.size("ovl_inode")), own, np.uint64(0))
    upper = _words(kernel, types, own, "ovl_inode", "__upperdentry")
    data = kernel.pointer(dentry, "dentry", "d_fsdata", gap=False)
    if types.has("ovl_inode", "oe"):  # 6.5 (0af950f57fef): the inode's, and the flags stand in d_fsdata itself
        entry, flags, count = _words(kernel, types, own, "ovl_inode", "oe"), data, "__numlower"
    else:
        entry, flags, count = data, _words(kernel, types, data, "ovl_entry", "flags"), "numlower"
    numbers = _words(kernel, types, entry, "ovl_entry", count) & np.uint64(0xFFFFFFFF)
    none = (entry == 0) & types.has("ovl_inode", "oe")  # of a file that is on the upper layer alone
    known = (whole(kernel, entry, types.size("ovl_entry")) | none) & (own != 0) & (numbers <= _MAX_LAYERS)
    lower = np.where(known, numbers, 0).astype(np.int64)
    return Entries(upper, np.where(known, lower, -1), ((flags >> np.uint64(_OPAQUE)) & np.uint64(1)) != 0)


def _words(kernel: Kernel, types: KernelTypes, address: U64, struct: str, member: str) -> U64:
    """A member of 8 bytes (or less: the caller masks it), 0 for address 0."""
    return kernel.pointers(np.where(address != 0, address + np.uint64(types.offset(struct, member)), np.uint64(0)))


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
