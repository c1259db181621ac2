# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Variables that a kernel does not name are found where the kernel that names them has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from memir.kube.ram import RamSource
from memir.symbols.table import Symbols
from memir.volatility.derive import missing_symbols

HIDDEN = {
    "socket_file_ops", "sockfs_dentry_operations", "net_namespace_list", "init_net", "init_nsproxy", "init_uts_ns",
    "init_ipc_ns", "init_cgroup_ns", "init_pid_ns", "init_files", "init_task",
}  # fmt: skip


def without(symbols: Symbols, names: set[str]) -> Symbols:
    """As of a kernel built without CONFIG_KALLSYMS_ALL: these variables are not named."""
    return Symbols.from_pairs(((name, at) for name, at in symbols.items() if name not in names), symbols.source)


@pytest.mark.parametrize("name", ["s-6.1-small", "s-5.10-small-v1", "s-7.2-small-la57"])
def test_what_is_found_is_what_the_kernel_names(name: str, node_of: Callable[[str], RamSource]) -> None:
    kernel = node_of(name).kernel
    known = {symbol: kernel.anchors.symbols.get(symbol) for symbol in HIDDEN}
    assert all(known.values())
    bare = dataclasses.replace(kernel.anchors, symbols=without(kernel.anchors.symbols, HIDDEN))
    assert missing_symbols(kernel.memory, bare) == known


def test_a_kernel_that_names_them_needs_nothing(small_node: RamSource) -> None:
    kernel = small_node.kernel
    assert missing_symbols(kernel.memory, kernel.anchors) == {}
    bare = dataclasses.replace(kernel.anchors, symbols=without(kernel.anchors.symbols, {"init_task"}))
    assert missing_symbols(kernel.memory, bare) == {"init_task": kernel.anchors.init_task}


def test_an_address_that_no_kernel_is_at_gives_nothing_false(small_node: RamSource) -> None:
    anchors = small_node.kernel.anchors
    lost = dataclasses.replace(
        anchors,
        symbols=without(anchors.symbols, HIDDEN),
        image_delta=int(np.uint64(anchors.image_delta) ^ np.uint64(1 << 40)),
    )
    assert missing_symbols(small_node.kernel.memory, lost) == {"init_task": anchors.init_task}
