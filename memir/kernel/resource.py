# SPDX-License-Identifier: Apache-2.0
"""include/uapi/asm-generic/resource.h: limits of processes, as /proc/PID/limits shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.pagetable import U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

NAMES = (
    "cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks", "sigpending",
    "msgqueue", "nice", "rtprio", "rttime",
)  # fmt: skip
"""RLIMIT_*, in the order of their numbers; those of x86-64 and arm64."""
_NEVER_ZERO = [NAMES.index(name) for name in ("cpu", "fsize", "data", "stack", "rss", "as", "locks", "rttime")]
"""With one of these 0 nothing runs, and nobody sets it so: a page of zeros, as a torn capture has them."""
_NONE = (1 << 64) - 1  # RLIM_INFINITY


def limits(kernel: Kernel, task: U64) -> list[list[str] | None]:
    """`nofile 1024 524288` (soft, hard) for each limit that a task's group has; None where not readable."""
    signal = kernel.pointer(task, "task_struct", "signal")
    offset = kernel.types.offset("signal_struct", "rlim")
    raw, ok = kernel.read_bytes(signal + np.uint64(offset), 16 * len(NAMES), signal)
    pairs = raw.view("<u8").reshape(len(task), len(NAMES), 2)
    ok &= (pairs[:, :, 0] <= pairs[:, :, 1]).all(axis=1) & (pairs[:, _NEVER_ZERO] != 0).all(axis=(1, 2))
    kernel.count_unread("limits", signal, ok)
    unique, back = np.unique(pairs.reshape(len(task), 2 * len(NAMES)), axis=0, return_inverse=True)
    texts = [
        [f"{name} {_value(soft)} {_value(hard)}" for name, (soft, hard) in zip(NAMES, row, strict=True)]
        for row in unique.reshape(-1, len(NAMES), 2).tolist()
    ]
    return [texts[row] if good else None for row, good in zip(back.reshape(-1).tolist(), ok.tolist(), strict=True)]


def _value(limit: int) -> str:
    return "unlimited" if limit == _NONE else str(limit)
