# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Addresses of variables that volatility3's plugins ask for by name, found by following the kernel's own
pointers.

A kernel built without CONFIG_KALLSYMS_ALL (Debian's 6.1 for arm64) names its functions only, no variables.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memir.errors import KernelError, SymbolsError
from memir.image.memory import PhysicalMemory
from memir.kernel.engine import Kernel
from memir.kernel.fdtable import open_files
from memir.kernel.list import list_nodes
from memir.kernel.rows import distinct
from memir.kernel.sched import tasks
from memir.kernel.space import u64
from memir.symbols.anchors import Anchors

_WANTED = ("socket_file_ops", "sockfs_dentry_operations", "net_namespace_list")
_S_IFMT, _S_IFSOCK = 0o170000, 0o140000


def missing_symbols(memory: PhysicalMemory, anchors: Anchors) -> dict[str, int]:
    """Runtime addresses of variables that the kernel's symbols lack; what cannot be found is left out."""
    symbols = {"init_task": anchors.init_task} if "init_task" not in anchors.symbols else {}
    if all(name in anchors.symbols for name in _WANTED):
        return symbols
    try:
        kernel = Kernel(memory, anchors)
        derived = {**_socket_operations(kernel), **_network_namespaces(kernel), **_namespaces(kernel)}
    except (KernelError, SymbolsError):
        return symbols
    return symbols | {name: address for name, address in derived.items() if address and name not in anchors.symbols}


def _socket_operations(kernel: Kernel) -> dict[str, int]:
    """The tables of functions that every socket's file and directory entry point to."""
    _, _, files = open_files(kernel, tasks(kernel).task)
    files = distinct(files)
    inode = kernel.pointer(files, "file", "f_inode")
    mode = kernel.read(inode, "inode", "i_mode")
    sockets = files[(mode & _S_IFMT) == _S_IFSOCK]
    entries = kernel.pointer(sockets, "file", "f_path.dentry")
    return {
        "socket_file_ops": _commonest(kernel.read(sockets, "file", "f_op")),
        "sockfs_dentry_operations": _commonest(kernel.read(entries, "dentry", "d_op")),
    }


def _network_namespaces(kernel: Kernel) -> dict[str, int]:
    """The head of the list of network namespaces: its one node but init_net's that is no heap memory."""
    nsproxy = kernel.pointer(u64(kernel.anchors.init_task), "task_struct", "nsproxy")
    init_net = kernel.pointer(nsproxy, "nsproxy", "net_ns")
    start = kernel.embedded(init_net, "net", "list")
    _, nodes = list_nodes(kernel, start, "network namespaces")
    low, high = (np.uint64(bound) for bound in kernel.space.direct)
    heads = nodes[(nodes < low) | (nodes >= high)]
    return {"init_net": int(init_net[0]), "net_namespace_list": int(heads[0]) if len(heads) == 1 else 0}


def _namespaces(kernel: Kernel) -> dict[str, int]:
    """What init_task points to and is static in every kernel."""
    task = u64(kernel.anchors.init_task)
    nsproxy = kernel.pointer(task, "task_struct", "nsproxy")
    symbols = {"init_nsproxy": nsproxy}
    for name, member in (
        ("init_uts_ns", "uts_ns"),
        ("init_ipc_ns", "ipc_ns"),
        ("init_cgroup_ns", "cgroup_ns"),
    ):
        symbols[name] = kernel.pointer(nsproxy, "nsproxy", member)
    symbols["init_pid_ns"] = kernel.pointer(nsproxy, "nsproxy", "pid_ns_for_children")
    symbols["init_files"] = kernel.pointer(task, "task_struct", "files")
    return {name: int(address[0]) for name, address in symbols.items()}


def _commonest(values: NDArray[np.uint64]) -> int:
    known, counts = np.unique(values[values != 0], return_counts=True)
    return int(known[counts.argmax()]) if len(known) else 0
