# SPDX-License-Identifier: Apache-2.0
"""Processes of real images; of one whose main thread has ended, everything but that thread."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from memir.kernel import sched
from memir.kernel.engine import Kernel
from memir.kernel.mount import Mounts
from memir.kube.processes import Process, ProcessList, living_threads, processes, text
from memir.symbols.locate import locate
from tests.damage import damaged, patched
from tests.images import case

NAME = "s-6.1-small"
GIVEN_BACK = ("mm", "active_mm", "files", "fs", "nsproxy")  # by exit_mm, exit_files, exit_fs, exit_task_namespaces
EXIT_ZOMBIE = 0x20  # include/linux/sched.h


@functools.cache
def whole() -> tuple[Kernel, ProcessList]:
    memory = case(NAME).open()
    kernel = Kernel(memory, locate(memory))
    return kernel, processes(kernel, Mounts(kernel))


def server(rows: list[Process]) -> Process:
    (row,) = [row for row in rows if row.args and row.args[0] == "/app/server"]
    return row


@functools.cache
def main_thread_ended() -> tuple[Kernel, ProcessList]:
    kernel, listed = whole()
    task = np.array([server(listed.rows).task], np.uint64)
    changes: dict[int, bytes] = {}

    def put(member: str, size: int, value: int) -> None:
        at = kernel.embedded(task, "task_struct", member)
        changes[int(kernel.space.physical(at)[0][0])] = value.to_bytes(size, "little")

    for member in GIVEN_BACK:
        put(member, 8, 0)
    put("exit_state", 4, EXIT_ZOMBIE)
    memory = damaged(kernel.memory, patched(kernel.memory, changes))
    changed = Kernel(memory, kernel.anchors)
    return changed, processes(changed, Mounts(changed))


def test_every_process_of_the_recording() -> None:
    truth = case(NAME).recorded()
    rows = {row.pid: row for row in whole()[1].rows}
    for pid, told in truth.items():
        if not told.kernel_thread and pid in rows:
            exe = f"{rows[pid].exe} (deleted)" if rows[pid].exe_deleted else rows[pid].exe
            assert (exe, rows[pid].args, rows[pid].pids) == (told.exe, told.args, told.nspid)
            assert (rows[pid].threads, rows[pid].uid) == (told.threads, told.uid)
    assert {row.source for row in rows.values()} == {"task_struct"}
    assert all(row.alive for row in rows.values() if row.state not in "ZX")


def test_process_whose_main_thread_has_ended() -> None:
    before, after = server(whole()[1].rows), server(main_thread_ended()[1].rows)
    assert (before.state, after.state) == ("S", "Z")
    same = ("pid", "exe", "exe_deleted", "args", "environ", "namespaces", "cgroup_path", "uid", "pids", "hostname")
    assert {name: getattr(after, name) for name in same} == {name: getattr(before, name) for name in same}
    assert after.living_thread not in (None, after.pid)
    assert after.source == f"task_struct; its main thread has ended: read from thread {after.living_thread}"
    assert after.alive
    assert not [gap for gap in main_thread_ended()[0].gaps if "main thread" in gap.kind]


def test_walks_start_from_the_living_thread() -> None:
    """Open files and the working directory are asked of ProcessList.living: the main thread has none any more."""
    kernel, listed = main_thread_ended()
    at = listed.rows.index(server(listed.rows))
    assert listed.living[at] != listed.task[at]
    assert kernel.read(listed.task[at : at + 1], "task_struct", "files")[0] == 0
    assert kernel.read(listed.living[at : at + 1], "task_struct", "files")[0] != 0
    others = np.arange(len(listed.rows)) != at
    assert (listed.living[others] == listed.task[others]).all()
    assert listed.mnt_ns[at] == whole()[1].mnt_ns[at] != 0


def made(*rows: tuple[int, int, str]) -> sched.Tasks:
    pid = np.array([row[0] for row in rows], np.int32)
    tgid = np.array([row[1] for row in rows], np.int32)
    nothing: Any = np.zeros(len(rows), np.int32)
    state = [row[2] for row in rows]
    return sched.Tasks(
        (pid * 16).astype(np.uint64), pid, tgid, nothing, [b"x"] * len(rows), nothing.astype(np.uint32), state,
        pid == tgid, {},
    )  # fmt: skip


def test_living_threads() -> None:
    every = made((1, 1, "S"), (5, 5, "Z"), (6, 5, "X"), (7, 5, "S"), (8, 5, "R"), (9, 9, "Z"), (12, 1, "S"))
    task, thread = living_threads(every, every.select(every.leader))
    assert task.tolist() == [16, 7 * 16, 9 * 16]
    assert thread.tolist() == [0, 7, 0]
    assert living_threads(made((1, 1, "Z")), made((1, 1, "Z")))[1].tolist() == [0]


def test_bytes_as_text() -> None:
    assert text(b"caf\xc3\xa9 \xff") == "café \\xff"
