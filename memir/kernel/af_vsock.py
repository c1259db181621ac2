# SPDX-License-Identifier: Apache-2.0
"""include/net/af_vsock.h: sockets between a machine and its hypervisor, virtual machines, enclaves, and itself."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import list_nodes
from memir.kernel.module import types_with_module
from memir.kernel.module_kallsyms import symbols
from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import distinct
from memir.kernel.space import u64
from memir.symbols.types import KernelTypes, Member, TypeRef

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

AF_VSOCK = int(socket.AF_VSOCK)
ANY, LOCAL = 0xFFFF_FFFF, 1  # VMADDR_CID_ANY (VMADDR_PORT_ANY too), VMADDR_CID_LOCAL
_BUCKETS = 251  # VSOCK_HASH_SIZE; the table of bound ones has one more, of those that are not bound
_MOST = 1 << 16  # sockets in one bucket: those that are not bound share one
_MEMBERS = ("local_addr", "remote_addr", "bound_table", "connected_table", "pending_links", "accept_queue")
_NEEDS = tuple(("vsock_sock", member) for member in _MEMBERS)
_LIST = TypeRef("struct", 16, "list_head")
_ADDRESS = TypeRef("struct", 16, "sockaddr_vm")


@dataclass(frozen=True)
class _Known:
    """Layout since 5.5 (c0cfa2d8a788), for modules without BTF (5.10) [source]: all lies right behind struct sock."""

    begin: int

    def struct(self, name: str) -> tuple[int, dict[str, Member]] | None:
        if name != "vsock_sock":
            return None
        places = {"local_addr": 8, "remote_addr": 24, "bound_table": 40, "connected_table": 56, "pending_links": 104,
                  "accept_queue": 120}  # fmt: skip
        types = {"local_addr": _ADDRESS, "remote_addr": _ADDRESS}
        return self.begin + 136, {
            member: Member(self.begin + offset, types.get(member, _LIST)) for member, offset in places.items()
        }

    def enum(self, name: str) -> dict[str, int] | None:
        return None if name else {}


@dataclass(frozen=True)
class Ends:
    """Of vsock socks, -1 where not set: context ids (int64[n], of the one and of the other end) and ports."""

    local: I64
    local_port: I64
    remote: I64
    remote_port: I64


def vsock(kernel: Kernel) -> U64:
    """Every vsock socket of the node, by the tables of bound and of connected ones; none where vsock is not loaded."""
    own = _module(kernel)
    if own is None:
        return np.zeros(0, np.uint64)
    module, types = own
    place: Mapping[str, int] = symbols(kernel, module) if module else kernel.symbols
    nodes = []
    for table, count in (("bound_table", _BUCKETS + 1), ("connected_table", _BUCKETS)):
        head = place.get(f"vsock_{table.replace('bound', 'bind')}")
        if head is None:
            kernel.gaps.add("vsock", f"vsock_{table}", "symbol not known: only sockets that files hold are seen")
            continue
        heads = np.uint64(head) + np.arange(count, dtype=np.uint64) * np.uint64(16)
        node = list_nodes(kernel, heads, "vsock table", _MOST)[1]
        nodes.append(node - np.uint64(types.offset("vsock_sock", table)))
    return distinct(np.concatenate(nodes)) if nodes else np.zeros(0, np.uint64)


def accept_queues(kernel: Kernel, listener: U64) -> tuple[U64, U64]:
    """(listener, sock) of connections that no process has accepted yet; listener: vsock socks that listen.

    pending_links: those that are still being made, by VMCI alone.
    """
    own = _module(kernel)
    if own is None or not len(listener):
        return listener[:0], listener[:0]
    whose, waiting = [], []
    for link in ("accept_queue", "pending_links"):  # a list's head and its nodes are the same member
        offset = np.uint64(own[1].offset("vsock_sock", link))
        row, node = list_nodes(kernel, listener + offset, "vsock accept queue", _MOST)
        whose.append(listener[row])
        waiting.append(node - offset)
    return np.concatenate(whose), np.concatenate(waiting)


def ends(kernel: Kernel, sock: U64) -> Ends:
    """Addresses of these vsock socks."""
    own = _module(kernel)
    columns = []
    for which in ("local_addr", "remote_addr"):
        raw, ok = np.zeros((len(sock), 16), np.uint8), np.zeros(len(sock), bool)
        if own is not None and len(sock):
            place = np.where(sock != 0, sock + np.uint64(own[1].offset("vsock_sock", which)), np.uint64(0))
            raw, ok = kernel.read_bytes(place, 16)
        words = np.ascontiguousarray(raw).view("<u4").astype(np.int64)  # family, port, cid: fixed, user space sees it
        ok = ok & (words[:, 0] & 0xFFFF == AF_VSOCK)
        kernel.count_unread("vsock address", sock, ok | (sock == 0))
        columns += [np.where(ok, words[:, 2], -1), np.where(ok & (words[:, 1] != ANY), words[:, 1], -1)]
    return Ends(columns[0], columns[1], columns[2], columns[3])


def _module(kernel: Kernel) -> tuple[int, KernelTypes] | None:
    """(struct module of vsock, 0 where it is built in, the types with its own); None where it is not loaded."""
    if "vsock" not in kernel.read_once:
        kernel.read_once["vsock"] = _find(kernel)
    own: tuple[int, KernelTypes] | None = kernel.read_once["vsock"]
    return own


def _find(kernel: Kernel) -> tuple[int, KernelTypes] | None:
    families = kernel.symbols.get("net_families")
    if families is None or not kernel.types.has("net_proto_family", "owner"):
        kernel.gaps.add("vsock", "net_families", "symbol not known: only sockets that files hold are seen")
        return None
    operations = kernel.pointers(u64(families + 8 * AF_VSOCK))
    if not operations[0]:
        return None
    module = kernel.pointer(operations, "net_proto_family", "owner", gap=False)
    types = kernel.types
    if not types.exists("vsock_sock") and module[0]:
        types = types_with_module(kernel, module, _NEEDS) or types
    if not types.exists("vsock_sock"):
        types = types.with_source(_Known(-(-kernel.types.size("sock") // 8) * 8))
    return int(module[0]), types
