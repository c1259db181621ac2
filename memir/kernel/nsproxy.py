# SPDX-License-Identifier: Apache-2.0
"""include/linux/nsproxy.h: the eight namespaces of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import pid as pids
from memir.kernel.pagetable import U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_IN_NSPROXY = {
    "mnt": ("mnt_ns", "mnt_namespace"),
    "net": ("net_ns", "net"),
    "ipc": ("ipc_ns", "ipc_namespace"),
    "uts": ("uts_ns", "uts_namespace"),
    "cgroup": ("cgroup_ns", "cgroup_namespace"),
    "time": ("time_ns", "time_namespace"),
}
_STRUCT = {
    **{kind: struct for kind, (_, struct) in _IN_NSPROXY.items()},
    "pid": "pid_namespace",
    "user": "user_namespace",
}
_WHOLE_IMAGE = 4 << 20  # bytes: less than that, the end of the image is not known
KINDS = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time")


@dataclass(frozen=True)
class Namespaces:
    """For each kind of namespace: its address and its number (as /proc/PID/ns shows), uint64[n], 0 where unknown.

    A task that is ending has given its nsproxy back: those kinds are 0 then.
    """

    address: dict[str, U64]
    inum: dict[str, U64]


def namespaces(kernel: Kernel, task: U64, user_ns: U64) -> Namespaces:
    """The namespaces of tasks; user_ns comes from their credentials, pid from the struct pid itself."""
    nsproxy = kernel.pointer(task, "task_struct", "nsproxy")
    ended = kernel.try_read(task, "task_struct", "exit_state")[0] != 0
    kernel.count_unread("nsproxy", task, (nsproxy != 0) | ended)
    address: dict[str, U64] = {}
    for kind, (member, _) in _IN_NSPROXY.items():
        if kernel.types.has("nsproxy", member):
            address[kind] = kernel.pointer(nsproxy, "nsproxy", member)
            kernel.count_unread(f"{kind} namespace", nsproxy, address[kind] != 0)
        else:
            address[kind] = np.zeros(len(task), np.uint64)  # time namespaces came with 5.6
    address["pid"] = pids.namespace_of(kernel, pids.of_tasks(kernel, task))
    address["user"] = user_ns
    inum = {kind: numbers(kernel, kind, address[kind]) for kind in KINDS}
    return Namespaces({kind: address[kind] for kind in KINDS}, inum)


def numbers(kernel: Kernel, kind: str, address: U64) -> U64:
    """The inum of namespaces of one kind."""
    if not kernel.types.exists(_STRUCT[kind]):
        return np.zeros(len(address), np.uint64)
    inum, ok = kernel.try_read(address, _STRUCT[kind], "ns.inum")
    if kernel.types.has(_STRUCT[kind], "ns.ops"):
        # every namespace names its operations, which lie in the kernel image: zeros and garbage do not
        ops, _ = kernel.try_read(address, _STRUCT[kind], "ns.ops")
        low, high = kernel.space.image
        ok = ok & (ops >= np.uint64(low)) & (ops < np.uint64(high)) if high - low > _WHOLE_IMAGE else ok & (ops != 0)
    kernel.count_unread(f"{kind} namespace", address, ok)
    return np.where(ok, inum, 0).astype(np.uint64)


def links(kernel: Kernel, inode: U64) -> list[bytes | None]:
    """`net:[4026531840]` of inodes of nsfs, whose i_private is the namespace's ns_common; None for 0."""
    common = kernel.pointer(inode, "inode", "i_private")
    kind = kernel.strings(kernel.pointer(kernel.pointer(common, "ns_common", "ops"), "proc_ns_operations", "name"), 16)
    number = kernel.read(common, "ns_common", "inum").tolist()
    return [name + b":[%d]" % inum if name else None for name, inum in zip(kind, number, strict=True)]


def uts_names(kernel: Kernel, address: U64) -> list[bytes | None]:
    """The host name in each UTS namespace, None where it is empty or not readable."""
    nodename = kernel.embedded(address, "uts_namespace", "name.nodename")
    return [name or None for name in kernel.strings(nodename, 65)]
