# SPDX-License-Identifier: Apache-2.0
"""The smallest node, and its memory as a hunt reads it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.hunt.memory import Memory, read_memory
from memir.kube.ram import RamSource
from tests.hunt.hunting import SMALLEST


@pytest.fixture(scope="module")
def small(node_of: Callable[[str], RamSource]) -> RamSource:
    return node_of(SMALLEST)


@pytest.fixture(scope="module")
def memory(small: RamSource) -> Memory:
    threads = small.processes.threads
    return read_memory(small.kernel, threads.task, threads.tgid)
