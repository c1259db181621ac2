# SPDX-License-Identifier: Apache-2.0
"""net/socket.c: sockets of every family by the slab of sockfs inodes, which holds each struct socket there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import slab, sock
from memir.kernel.pagetable import U64
from memir.kernel.rows import among, distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel


def in_slab(kernel: Kernel, known: U64) -> U64:
    """The sock of every struct socket in use. known: some struct sockets, which say which slab it is.

    A slot counts where socket and sock name each other. Those without a file are the kernel's own: of these the ones of
    IP and netlink, of which every network namespace has some for control, are left out.
    """
    struct = sock.box(kernel)
    cache = slab.cache_of(kernel, kernel.container(known[known != 0], struct, "socket"))
    if not cache:
        kernel.gaps.add("sockfs", "slab of sockets", "was not found", int(len(known) > 0))
        return np.zeros(0, np.uint64)
    held = kernel.embedded(slab.objects(kernel, cache), struct, "socket")
    own = kernel.pointer(held, "socket", "sk", gap=False)
    own = np.where(kernel.space.is_kernel_pointer(own), own, np.uint64(0))
    back = kernel.try_read(own, "sock", "sk_socket")[0].astype(np.uint64)
    family = kernel.try_read(own, "sock_common", "skc_family")[0]
    user = kernel.space.is_kernel_pointer(kernel.pointer(held, "socket", "file", gap=False))
    good = (own != 0) & (back == held) & (user | ~among(family, (sock.INET, sock.INET6, sock.NETLINK)))
    return distinct(own[good])
