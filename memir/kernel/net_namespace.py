# SPDX-License-Identifier: Apache-2.0
"""include/net/net_namespace.h: every network namespace, also those that no task is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import nsproxy
from memir.kernel.list import ring
from memir.kernel.pagetable import U64
from memir.kernel.rows import among, distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_FIRST_INUM = 0xEFFF_FFF0  # PROC_*_INIT_INO: the initial namespaces' numbers lie just above; 7.2's init_net is ...F9


def net_namespaces(kernel: Kernel, known: U64) -> tuple[U64, U64]:
    """(struct net, inum) of every network namespace, by number; some have to be known, as no symbol is needed then."""
    known = distinct(known[known != 0])
    every = ring(kernel, "net", "list", known, "network namespace list")
    low, high = kernel.space.direct
    # the list's head lies in the kernel image, as init_net does: what is taken for a net there has a net's number
    dynamic = (every >= np.uint64(low)) & (every < np.uint64(high))
    number, ok = kernel.try_read(every, "net", "ns.inum")
    every = every[(dynamic | among(every, known)) & ok | (ok & (number >= np.uint64(_FIRST_INUM)))]
    inum = nsproxy.numbers(kernel, "net", every)
    every, inum = every[inum >= np.uint64(_FIRST_INUM)], inum[inum >= np.uint64(_FIRST_INUM)]
    order = np.argsort(inum, kind="stable")
    return every[order], inum[order]


def initial(kernel: Kernel, net: U64, inum: U64) -> int:
    """Number of the node's own network namespace by where it lies: init_net is in the kernel's image, all others in the
    direct map; 0: not met. Where the image ends is not known of a kernel that has no names for its data."""
    low, high = kernel.space.direct
    own = inum[(net < np.uint64(low)) | (net >= np.uint64(high))]
    return int(own[0]) if len(own) == 1 else 0


def of_tasks(kernel: Kernel, task: U64) -> U64:
    """struct net of each task, 0 where it has given its namespaces back."""
    return kernel.pointer(kernel.pointer(task, "task_struct", "nsproxy"), "nsproxy", "net_ns")
