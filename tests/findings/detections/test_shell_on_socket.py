# SPDX-License-Identifier: Apache-2.0
"""Programs whose standard input and output are one connection."""

from __future__ import annotations

import pyarrow as pa
import pytest

from memir.findings.detect import detect
from tests.findings.real import INTRUDED, NODE, SMALL, Row, brief, kind, node, on_the_node

KIND = "shell-on-socket"


@on_the_node
def test_on_the_node() -> None:
    """cat of `nc -l -p 7000 -e cat`, as the ledger pod's spec says: it is there, and nothing to wake someone for."""
    (row,) = kind(NODE, KIND)
    assert brief([row]) == {("low", "ledger", "ledger", 1154)}
    assert row["title"].endswith("with shop/api-8489696577-l7df2 port 33966, local port 7000")


def put_on_its_socket(fds: tuple[int, ...], **changes: object) -> list[Row]:
    """The sidecar's client with these descriptors led to its connection."""
    tables, facts = node(SMALL)
    files = tables["files"].to_pylist()
    (sock,) = {row["path"] for row in files if row["pid"] == 152 and row["kind"] == "socket"}
    for row in files:
        if row["pid"] == 152 and row["use"] == "fd" and row["fd"] in fds:
            row.update(path=sock, kind="socket")
    processes = [{**row, **(changes if row["pid"] == 152 else {})} for row in tables["processes"].to_pylist()]
    changed = {
        **tables,
        "files": pa.Table.from_pylist(files, schema=tables["files"].schema),
        "processes": pa.Table.from_pylist(processes, schema=tables["processes"].schema),
    }
    return [row for row in detect(changed, facts).rows() if row["kind"] == KIND]


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"exe": "/bin/busybox", "args": ["sh", "-i"]}, "high"),
        ({"exe": "/usr/bin/python3.11", "args": ["python3"]}, "high"),
        ({}, "medium"),
    ],
)
def test_what_reads_there(changes: dict[str, object], severity: str) -> None:
    rows = put_on_its_socket((0, 1, 2), **changes)
    assert [(row["severity"], row["pid"]) for row in rows] == [(severity, 152)]


def test_not_there() -> None:
    """A server has connections, and not as its standard input."""
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []
    assert put_on_its_socket((1,), args=["sh"]) == []
