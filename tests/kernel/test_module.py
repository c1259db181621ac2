# SPDX-License-Identifier: Apache-2.0
"""Types that modules bring along, and what is read of kernel memory page by page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel import fs
from memir.kernel.engine import Kernel
from memir.kernel.module import module_of_filesystem, read_virtual, types_with_module
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols
from tests.damage import damaged, patched
from tests.images import case
from tests.kernel.fake import DIRECT, fake_kernel
from tests.kernel.host import SMALL, mounts_of

NodeOf = Callable[[str], RamSource]
U64 = np.ndarray[tuple[int], np.dtype[np.uint64]]
NEEDS = (("ovl_fs", "config"), ("ovl_inode", "no_such", "__upperdentry"))


def by_type(node: RamSource) -> dict[bytes | None, U64]:
    """A superblock of each file system type that is mounted on the node."""
    mounts, mount = mounts_of(node, 1)
    superblock = np.array([mounts.known[at].superblock for at in mount.tolist()], np.uint64)
    kinds = fs.types_of(node.kernel, superblock)
    return {kind: superblock[row : row + 1] for row, kind in enumerate(kinds)}


def test_modules_of_file_systems(node_of: NodeOf, image: str) -> None:
    """overlay is a module; proc is built in."""
    node = node_of(image)
    kernel = node.kernel
    kinds = by_type(node)
    module = module_of_filesystem(kernel, kinds[b"overlay"])
    assert kernel.strings(kernel.embedded(module, "module", "name"), 64) == [b"overlay"]
    assert module_of_filesystem(kernel, kinds[b"proc"]).tolist() == [0]
    assert module_of_filesystem(kernel, np.zeros(0, np.uint64)).tolist() == []


@pytest.mark.parametrize("name", SMALL)
def test_types_of_overlayfs(node_of: NodeOf, name: str) -> None:
    """As long as the file in /sys/kernel/btf was; the kernel's own types stay."""
    node = node_of(name)
    kernel = node.kernel
    module = module_of_filesystem(kernel, by_type(node)[b"overlay"])
    types = types_with_module(kernel, module, NEEDS)
    size = case(name).raw_truth()["btf"].get("overlay", 0)
    assert (types is not None) == (size > 0)
    if types is None:
        return
    assert int(kernel.read(module, "module", "btf_data_size")[0]) == size
    assert types.has("ovl_fs", "config") and not kernel.types.exists("ovl_fs")
    assert types.size("task_struct") == kernel.types.size("task_struct")


def test_no_module_and_a_size_that_cannot_be(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    kernel = node.kernel
    assert types_with_module(kernel, u64(0), NEEDS) is None
    module = module_of_filesystem(kernel, by_type(node)[b"overlay"])
    pa, _ = kernel.space.physical(kernel.embedded(module, "module", "btf_data_size"))
    huge = patched(kernel.memory, {int(pa[0]): (1 << 31).to_bytes(4, "little")})
    assert types_with_module(Kernel(damaged(kernel.memory, huge), kernel.anchors), module, NEEDS) is None


def test_types_are_searched_for_without_the_list_of_them(node_of: NodeOf) -> None:
    """A kernel whose data symbols are not in kallsyms: the struct btf is known by its name and size."""
    node = node_of("s-6.1-small")
    kernel = node.kernel
    module = module_of_filesystem(kernel, by_type(node)[b"overlay"])
    listed = types_with_module(kernel, module, NEEDS)
    without = [(name, at) for name, at in kernel.symbols.items() if name != "btf_modules"]
    anchors = dataclasses.replace(kernel.anchors, symbols=Symbols.from_pairs(without, "without btf_modules"))
    searched = types_with_module(Kernel(kernel.memory, anchors), module, NEEDS)
    assert listed is not None and searched is not None
    assert searched.offset("ovl_fs", "config") == listed.offset("ovl_fs", "config") > 0


def test_types_that_lack_what_every_version_has_are_a_gap(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    own = Kernel(node.kernel.memory, node.kernel.anchors, Gaps())
    module = module_of_filesystem(own, by_type(node)[b"overlay"])
    assert types_with_module(own, module, [*NEEDS, ("ovl_fs", "one", "two"), ("no_struct", "member")]) is None
    (gap,) = [gap for gap in own.gaps if gap.kind == "module BTF"]
    assert (gap.where, gap.why) == ("b'overlay'", "damaged: ovl_fs.one or two")


def test_types_that_are_not_there_are_a_gap(node_of: NodeOf) -> None:
    """btf_data leads to something else: it is no BTF, and the reason is told."""
    node = node_of("s-6.1-small")
    kernel = node.kernel
    module = module_of_filesystem(kernel, by_type(node)[b"overlay"])
    at, _ = kernel.space.physical(kernel.embedded(module, "module", "btf_data"))
    lie = patched(kernel.memory, {int(at[0]): kernel.symbols["linux_banner"].to_bytes(8, "little")})
    own = Kernel(damaged(kernel.memory, lie), kernel.anchors, Gaps())
    assert types_with_module(own, module, NEEDS) is None
    (gap,) = [gap for gap in own.gaps if gap.kind == "module BTF"]
    assert gap.where == "b'overlay'" and gap.why not in ("", "not found", "not readable")


def test_read_virtual(node_of: NodeOf) -> None:
    kernel = node_of("s-6.1-small").kernel
    banner = read_virtual(kernel, kernel.symbols["linux_banner"], 17)
    assert banner == b"Linux version 6.1"
    small = fake_kernel({0x2FFE: b"abcd"})
    assert read_virtual(small, DIRECT + 0x2FFE, 4) == b"abcd"  # over the end of a page
    assert read_virtual(small, DIRECT + (1 << 30) - 2, 4) is None
