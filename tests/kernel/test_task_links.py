# SPDX-License-Identifier: Apache-2.0
"""Tasks whose own links say that they were taken out of the list: none on a clean image, those that were taken out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.task_links import unlinked
from memir.kube.ram import RamSource
from tests.images import case
from tests.injected import pid_of, task_of, with_members
from tests.kernel.hooked import IMAGES

NodeOf = Callable[[str], RamSource]
POISON = 0xDEAD_0000_0000_0122


def out(node: RamSource) -> dict[int, int]:
    rows = [(row.pid, row.pid == row.tgid) for row in node.processes.rows]
    links = unlinked(node.kernel, node.processes.task).tolist()
    return {pid: link for (pid, leads), link in zip(rows, links, strict=True) if leads and link}


def test_nobody(image: str, node_of: NodeOf) -> None:
    """But those that the labels of an intruded image say were taken from the list."""
    labels = case(image).labels()["processes"] if "intruded" in image else []
    assert out(node_of(image)) == {row["pid"]: 1 for row in labels if "tasks" in row["hidden_from"]}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize(("previous", "ended", "said"), [(POISON, 0, 1), (POISON, 16, 0), (0, 0, -1), (0x122, 0, 1)])
def test_links(name: str, previous: int, ended: int, said: int, node_of: NodeOf) -> None:
    """list_del() poisons the link; the kernel does so when a process has ended; a page of zeros says nothing."""
    clean = node_of(name)
    pid = pid_of(clean, "secretd")
    task = task_of(clean, pid)
    node = with_members(
        clean, {(task, "task_struct", "tasks.prev"): previous, (task, "task_struct", "exit_state"): ended}
    )
    links = unlinked(node.kernel, clean.processes.task).tolist()
    assert links[[row.pid for row in clean.processes.rows].index(pid)] == said
