# SPDX-License-Identifier: Apache-2.0
"""Memory of no file that may be run."""

from __future__ import annotations

from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, kind, on_the_node

KIND = "anonymous-executable-memory"


def test_there() -> None:
    """The two pages that tests/lab/small/apps.c maps for reading, writing and running."""
    (row,) = kind(SMALL, KIND)
    assert brief([row]) == {("high", "miner-0", "miner", 191)}
    assert "may run 8,192 bytes of memory that is no file's, and write them" in row["title"]
    assert [row["pid"] for row in kind(INTRUDED, KIND)] == [241]


def test_in_a_program_that_has_its_file() -> None:
    (row,) = after(SMALL, KIND, "processes", {"pid": 191}, exe_deleted=False, exe="/app/server")
    assert row["severity"] == "medium"


def test_a_just_in_time_compiler() -> None:
    (row,) = after(SMALL, KIND, "processes", {"pid": 191}, exe_deleted=False, exe="/usr/lib/jvm/21/bin/java")
    assert row["severity"] == "info"
    (row,) = after(SMALL, KIND, "vmas", {"pid": 191, "path": "/memfd:x"}, path="/usr/lib/libpcre2-8.so.0.11.2")
    assert row["severity"] == "high"  # the program itself is in no file: what it has loaded excuses nothing


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []


def test_not_there() -> None:
    assert after(SMALL, KIND, "vmas", {"pid": 191, "permissions": "rwxp"}, permissions="rw-p") == []
    assert after(SMALL, KIND, "vmas", {"pid": 191, "permissions": "rwxp"}, rss=0) == []
