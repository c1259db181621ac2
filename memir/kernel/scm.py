# SPDX-License-Identifier: Apache-2.0
"""include/net/scm.h, af_unix.h: files that were sent through a unix socket and that nobody has received yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import list_nodes
from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MOST_FILES = 253  # SCM_MAX_FD
_MOST_BUFFERS = 1 << 16  # messages that wait in one queue


def in_flight(kernel: Kernel, sock: U64) -> tuple[I64, U64]:
    """(index of the unix socket in whose receive queue it waits, struct file) of every such file."""
    nothing = np.zeros(0, np.int64), np.zeros(0, np.uint64)
    if not len(sock) or not kernel.types.has("unix_skb_parms", "fp") or not kernel.types.exists("scm_fp_list"):
        return nothing
    # struct sk_buff and struct sk_buff_head both begin with next and prev
    waiting = kernel.read(sock, "sock", "sk_receive_queue.qlen").astype(np.int64) > 0
    full = np.flatnonzero(waiting)
    head = kernel.embedded(sock[full], "sock", "sk_receive_queue")
    owner, buffer = list_nodes(kernel, head, "unix receive queue", _MOST_BUFFERS)
    control = kernel.embedded(buffer, "sk_buff", "cb")
    listed = kernel.pointer(control, "unix_skb_parms", "fp", gap=False)
    listed = np.where(kernel.space.is_kernel_pointer(listed), listed, np.uint64(0))
    count = kernel.read(listed, "scm_fp_list", "count").astype(np.int64)
    absurd = (count < 0) | (count > _MOST_FILES)
    kernel.count_unread("files in flight", listed, ~absurd, "absurd number of files")
    row, number = spread(np.where(absurd, 0, count))
    place = kernel.embedded(listed, "scm_fp_list", "fp")[row] + number.astype(np.uint64) * np.uint64(8)
    file, read = kernel.try_pointers(place)
    kernel.count_unread("file in flight", place, read)
    good = file != 0
    return full[owner[row]][good], file[good]
