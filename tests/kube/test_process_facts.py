# SPDX-License-Identifier: Apache-2.0
"""What confines, traces and makes up each process."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable

import pytest

from memir.kube import process_facts
from memir.kube.process_facts import code, confinement
from memir.kube.ram import RamSource
from memir.tables.inodes import TABLE as INODES
from tests.injected import pid_of, task_of, traced, with_members

NodeOf = Callable[[str], RamSource]


def test_columns(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    rows = node.processes.rows
    data = {**confinement(node), **code(node)}
    assert {len(values) for values in data.values()} == {len(rows)}
    assert set(data["tracer"]) == {0} and set(data["io_uring"]) == {False}
    for row, process in enumerate(rows):
        user = process.exe is not None
        assert data["exe_code"][row] == ("mapped" if user else None)
        assert (data["start_code"][row] is not None) == user
        assert user or data["exe_sha256"][row] is None


def test_hashes(node_of: NodeOf) -> None:
    """The files of an image that is all in RAM are those of the table of inodes."""
    node = node_of("s-6.1-small")
    known: dict[str, set[str]] = defaultdict(set)
    for row in INODES.read(node).rows():
        if row["sha256"]:
            known[row["sha256"]].add(row["container_path"] or row["node_path"])
    for digest, process in zip(code(node)["exe_sha256"], node.processes.rows, strict=True):
        if process.exe:
            assert digest in known and digest != hashlib.sha256(b"").hexdigest(), process.exe
    server = next(row for row, process in enumerate(node.processes.rows) if process.exe == "/app/server")
    assert {"/app/server", "/app/secretd", "/tmp/dropper"} <= known[code(node)["exe_sha256"][server]]  # one program


def test_more_than_is_hashed(node_of: NodeOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_facts, "MAX_HASHED", 1_500_000)
    node = with_members(node_of("s-6.1-small"), {})
    digests = code(node)["exe_sha256"]
    assert any(digests) and not all(digest for digest, row in zip(digests, node.processes.rows, strict=True) if row.exe)
    assert sum(gap.count for gap in node.gaps if gap.kind == "sha256") > 0


def test_rings_and_tracers_of_threads(node_of: NodeOf) -> None:
    clean = node_of("s-6.1-small")
    pid = pid_of(clean, "secretd")
    task = task_of(clean, pid)
    node = with_members(traced(clean, pid, 1), {(task, "task_struct", "io_uring"): task})
    data = confinement(node)
    row = [process.pid for process in node.processes.rows].index(pid)
    assert (data["tracer"][row], data["io_uring"][row]) == (1, True)
    assert sum(map(bool, data["tracer"])) == sum(map(bool, data["io_uring"])) == 1
