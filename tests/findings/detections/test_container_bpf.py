# SPDX-License-Identifier: Apache-2.0
"""BPF programs that a container's process has open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from memir.tables.bpf import TABLE
from tests.findings.real import INTRUDED, NODE, brief, given, kind, on_the_node

KIND = "container-bpf"
WHEN = datetime(2026, 11, 20, 10, 2, tzinfo=UTC)


def programs(*pids: int, **more: Any) -> pa.Table:
    """A program that these processes have open."""
    row = {"kind": "program", "id": 7, "type": "kprobe", "name": "hide", "pids": list(pids), "time": WHEN, **more}
    return TABLE.rows([row]).to_arrow()


@pytest.mark.parametrize(("pid", "severity", "pod"), [(218, "high", "api-58f6c9d7b4-q8xkz")])
def test_a_program_of_a_pod(pid: int, severity: str, pod: str) -> None:
    (row,) = given(INTRUDED, KIND, bpf=programs(pid))
    assert brief([row]) == {(severity, pod, "api", pid)} and row["first_seen"] == WHEN
    assert row["title"] == f"shop/{pod}/api has 1 BPF program of type kprobe: hide"
    assert row["evidence"] == [{"table": "bpf", "key": "kind = 'program' and id in (7)"}]


def test_not_there() -> None:
    assert kind(INTRUDED, KIND) == []
    assert given(INTRUDED, KIND, bpf=programs(1)) == given(INTRUDED, KIND, bpf=programs()) == [], "the node's own"
    assert given(INTRUDED, KIND, bpf=programs(218, kind="map")) == []


@on_the_node
def test_programs_of_the_runtime_are_the_nodes() -> None:
    assert kind(NODE, KIND) == []
