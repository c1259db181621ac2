# SPDX-License-Identifier: Apache-2.0
"""User registers of threads: one that waits in a system call has its program counter just behind the instruction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from memir.kernel.mm import page_roots
from memir.kernel.pt_regs import registers
from memir.kube.ram import RamSource

NodeOf = Callable[[str], RamSource]
IP, SP = {"x86_64": 16, "arm64": 32}, {"x86_64": 19, "arm64": 31}
CALL = {"x86_64": b"\x0f\x05", "arm64": b"\x01\x00\x00\xd4"}  # syscall; svc #0


def test_threads_stand_behind_their_system_call(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    kernel, threads = node.kernel, node.processes.threads
    arch = kernel.anchors.arch
    mm = kernel.pointer(threads.task, "task_struct", "mm", gap=False)
    task = threads.task[mm != 0]
    known = registers(kernel, task)
    assert known.known.mean() > 0.95 and known.words.shape[1] == {"x86_64": 27, "arm64": 34}[arch]
    ip, sp = known.words[:, IP[arch]], known.words[:, SP[arch]]
    width = len(CALL[arch])
    roots = page_roots(kernel, mm[mm != 0])
    pa, ok = kernel.space.user_physical(roots, ip - np.uint64(width))
    raw, read = kernel.memory.gather(pa, width)
    states = np.array(threads.state)[mm != 0]
    waiting = known.known & ~known.running & (states == "S") & ok & read
    words = Counter(row.tobytes() for row in raw[waiting])
    assert words.most_common(1)[0][0] == CALL[arch]
    # what waits without a call was interrupted: the scheduler took its turn away
    assert words[CALL[arch]] >= 0.9 * waiting.sum() and waiting.sum() >= 10
    stack, there = kernel.space.user_physical(roots, sp)
    assert (there & (stack != 0))[waiting].all()


def test_kernel_threads_have_none(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    task = np.array([process.task for process in node.processes.rows if process.kernel_thread], np.uint64)
    known = registers(node.kernel, task)
    assert len(task) > 30 and known.known.sum() <= 1  # a thread that once was a process's may keep a frame
    assert not registers(node.kernel, np.zeros(1, np.uint64)).known.any()
