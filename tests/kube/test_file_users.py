# SPDX-License-Identifier: Apache-2.0
"""Files that processes map or have open, by the path that the recording has for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kube.file_users import files_in_use
from memir.kube.ram import RamSource
from tests.images import case


@pytest.mark.parametrize("name", ["s-6.1-small", "s-7.2-small-la57"])
def test_who_uses_the_pause_program(name: str, node_of: Callable[[str], RamSource]) -> None:
    node = node_of(name)
    uses = files_in_use(node.kernel, node.processes.living)
    rows = node.processes.rows
    infos = node.file_owners.of({file for _, file in uses if file})
    by_path: dict[str | None, set[int]] = {}
    for row, file in uses:
        if file:
            by_path.setdefault(infos[file].path, set()).add(rows[row].tgid)
    recorded = case(name).recorded()
    for path, comm in (("/pause", "pause"), ("/usr/bin/kubelet", "kubelet"), ("/tmp/server.log", "server")):
        assert by_path[path] == {pid for pid, process in recorded.items() if process.comm == comm}, path


def test_nobody_uses_nothing(node_of: Callable[[str], RamSource]) -> None:
    assert files_in_use(node_of("s-6.1-small").kernel, np.zeros(0, np.uint64)) == set()
