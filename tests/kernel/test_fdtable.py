# SPDX-License-Identifier: Apache-2.0
"""Open files of processes, against /proc/PID/fd, and tables that claim more than there can be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel.fdtable import MAX_FDS, close_on_exec, open_files
from memir.kernel.mount import mount_of
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.types import Member
from tests.damage import rewritten
from tests.kernel import fake
from tests.kernel.fake import DIRECT, INT, POINTER, fake_kernel
from tests.kernel.host import SMALL, records

NodeOf = Callable[[str], RamSource]


@pytest.mark.parametrize("name", SMALL)
def test_open_files_are_those_of_proc(node_of: NodeOf, name: str) -> None:
    node = node_of(name)
    kernel = node.kernel
    owner, fd, file = open_files(kernel, node.processes.task)
    mount = mount_of(kernel, kernel.pointer(file, "file", "f_path.mnt"))
    paths = node.mounts.paths(mount, kernel.pointer(file, "file", "f_path.dentry"))
    found: dict[int, dict[int, bytes | None]] = {row.pid: {} for row in node.processes.rows}
    for at, number, path in zip(owner.tolist(), fd.tolist(), paths, strict=True):
        found[node.processes.rows[at].pid][number] = path
    shown = {
        pid: {int(number): path for number, path in one["fds"].items()}
        for pid, one in records(name).items()
        if "fds" in one and pid in found
    }
    assert sum(len(files) for files in shown.values()) > 30
    assert {pid: sorted(found[pid]) for pid in shown} == {pid: sorted(files) for pid, files in shown.items()}
    compared = 0
    for pid, files in shown.items():
        for number, path in files.items():
            if path.startswith("/") and not path.endswith(" (deleted)"):
                assert found[pid][number] == path.encode(), (pid, number)
                compared += 1
    assert compared > 30


@pytest.fixture
def structs(monkeypatch: pytest.MonkeyPatch) -> None:
    task = fake.STRUCTS["task_struct"][1] | {"files": Member(32, POINTER)}
    monkeypatch.setitem(fake.STRUCTS, "task_struct", (64, task))
    monkeypatch.setitem(fake.STRUCTS, "files_struct", (8, {"fdt": Member(0, POINTER)}))
    monkeypatch.setitem(fake.STRUCTS, "fdtable", (16, {"max_fds": Member(0, INT), "fd": Member(8, POINTER)}))


@pytest.mark.usefixtures("structs")
def test_absurd_tables_and_tasks_without_files() -> None:
    task, other, ended = 0x2000, 0x2100, 0x2200
    kernel = fake_kernel(
        {
            task + 32: DIRECT + 0x3000, 0x3000: DIRECT + 0x3100, 0x3100: 4, 0x3108: DIRECT + 0x4000,
            other + 32: DIRECT + 0x3200, 0x3200: DIRECT + 0x3300, 0x3300: MAX_FDS + 1, 0x3308: DIRECT + 0x4000,
            0x4000: 0x111, 0x4018: 0x222,
        }
    )  # fmt: skip
    owner, fd, file = open_files(kernel, u64(DIRECT + ended, DIRECT + task, DIRECT + other))
    assert (owner.tolist(), fd.tolist(), file.tolist()) == ([1, 1], [0, 3], [0x111, 0x222])
    assert [(gap.kind, gap.where, gap.count) for gap in kernel.gaps] == [("open files", f"{DIRECT + 0x3300:#x}", 1)]
    assert [len(column) for column in open_files(kernel, np.zeros(0, np.uint64))] == [0, 0, 0]


def test_close_on_exec(node_of: NodeOf) -> None:
    """A bit of the table's for each descriptor, whatever its file says."""
    node = node_of("s-6.12-intruded")
    kernel = node.kernel
    owner, number, _ = open_files(kernel, node.file_tasks)
    task = node.file_tasks[owner]
    table = kernel.pointer(kernel.pointer(task, "task_struct", "files"), "files_struct", "fdt")
    place = int(kernel.pointer(table, "fdtable", "close_on_exec")[0])
    mine = table == table[0]
    for word in (0, 0b101, (1 << 64) - 1):
        made = rewritten(kernel, {place: word.to_bytes(8, "little")})
        closed = close_on_exec(made, task[mine], number[mine])
        assert closed.tolist() == [bool(word >> fd & 1) for fd in number[mine].tolist()] and not len(made.gaps)
    assert close_on_exec(kernel, u64(0), np.zeros(1, np.int64)).tolist() == [False]
