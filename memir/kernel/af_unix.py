# SPDX-License-Identifier: Apache-2.0
"""include/net/af_unix.h: UNIX sockets, their names and their other ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import hash_nodes, slots
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_BUCKETS = 256  # UNIX_HASH_SIZE; twice as many while there was one table for all namespaces
_PATH_MAX = 108  # sizeof(sun_path)


def unix(kernel: Kernel, net: U64) -> U64:
    """UNIX sockets of all namespaces. net: struct nets."""
    if kernel.types.has("net", "unx.table.buckets"):  # 6.0 (b6459415b384): a table per namespace
        base = kernel.pointer(net, "net", "unx.table.buckets")
        heads = slots(kernel, base, np.full(len(base), _BUCKETS, np.uint64), 8, "UNIX table")
    elif "unix_socket_table" in kernel.symbols:
        first = np.array([kernel.symbols["unix_socket_table"]], np.uint64)
        heads = slots(kernel, first, np.full(1, 2 * _BUCKETS, np.uint64), 8, "UNIX table")
    else:
        kernel.gaps.add("UNIX table", "unix_socket_table", "symbol not known: only sockets that files hold are seen")
        return np.zeros(0, np.uint64)
    _, node = hash_nodes(kernel, heads, "UNIX table")
    return distinct(kernel.container(node, "sock_common", "skc_node"))


def names(kernel: Kernel, sock: U64) -> list[str | None]:
    """The name that each is bound to, as /proc/net/unix has it: a path, or @ and an abstract name; None: not bound."""
    address = kernel.pointer(sock, "unix_sock", "addr")
    length = kernel.read(address, "unix_address", "len").astype(np.int64) - 2  # sizeof(sun_family)
    raw, ok = kernel.read_bytes(kernel.embedded(address, "unix_address", "name") + np.uint64(2), _PATH_MAX, address)
    kernel.count_unread("UNIX name", address, ok)
    shown: list[str | None] = []
    for row, size, read in zip(raw, length.tolist(), ok.tolist(), strict=True):
        name = row[: min(max(size, 0), _PATH_MAX)].tobytes()
        name = name.replace(b"\0", b"@") if name[:1] == b"\0" else name.split(b"\0")[0]
        shown.append(name.decode("utf-8", "backslashreplace") if read and name else None)
    return shown


def peers(kernel: Kernel, sock: U64) -> U64:
    """The sock at the other end of each; 0 for none."""
    return kernel.pointer(sock, "unix_sock", "peer")
