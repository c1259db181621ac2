# SPDX-License-Identifier: Apache-2.0
"""include/linux/cred.h and seccomp.h: who a task is and what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import U64, Bools

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_SECUREBITS = 0xFF  # SECURE_ALL_BITS and their locks


@dataclass(frozen=True)
class Credentials:
    """One row a task. uid: uint32 as the initial user namespace counts. cap_effective: uint64, bit n is capability n.

    user_ns: address of the user namespace. seccomp: int32 mode. known: bool, whether cred could be read.
    """

    uid: NDArray[np.uint32]
    cap_effective: U64
    user_ns: U64
    seccomp: NDArray[np.int32]
    known: Bools


def credentials(kernel: Kernel, task: U64) -> Credentials:
    """The objective credentials (real_cred, which /proc/PID/status shows) of tasks."""
    cred = kernel.pointer(task, "task_struct", "real_cred")
    uid, known = kernel.try_read(cred, "cred", "uid.val")
    user_ns = kernel.pointer(cred, "cred", "user_ns", gap=False)
    # a page of zeros reads as root without capabilities: believe only what also names a user namespace and is in use
    usage, _ = kernel.try_read(
        cred, "cred", kernel.first_member("cred", "usage.refs.counter", "usage.counter", "usage")
    )
    secure, _ = kernel.try_read(cred, "cred", "securebits")
    known = known & kernel.space.is_kernel_pointer(user_ns) & (usage > 0) & (secure <= _SECUREBITS)
    kernel.count_unread("cred", np.where(cred != 0, cred, task), known)
    # 6.3 (f122a08b197d) made kernel_cap_t one u64; before it is an array of two u32
    path = kernel.first_member("cred", "cap_effective.val", "cap_effective.cap")
    capabilities = kernel.read(cred, "cred", path)
    if capabilities.ndim == 2:
        halves = capabilities.astype(np.uint64)
        capabilities = halves[:, 0] | (halves[:, 1] << np.uint64(32) if halves.shape[1] > 1 else np.uint64(0))
    seccomp = np.zeros(len(task), np.int32)
    if kernel.types.has("task_struct", "seccomp.mode"):
        seccomp = kernel.read(task, "task_struct", "seccomp.mode").astype(np.int32)
    return Credentials(uid.astype(np.uint32), capabilities.astype(np.uint64), user_ns, seccomp, known & (cred != 0))
