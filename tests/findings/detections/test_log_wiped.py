# SPDX-License-Identifier: Apache-2.0
"""Logs that were deleted while they were written."""

from __future__ import annotations

import pytest

from tests.findings.real import INTRUDED, NODE, SMALL, after, kind, node, on_the_node

KIND = "log-wiped"


@pytest.mark.parametrize(
    ("path", "severity"),
    [
        ("/var/log/auth.log", "medium"), ("/run/log/journal/ab/system@1.journal", "low"), ("/var/log/syslog.1", "low"),
        ("/data/app.log", None),
    ],
)  # fmt: skip
def test_a_file_that_is_open_and_deleted(path: str, severity: str | None) -> None:
    """A regular file that a process of the image has open."""
    file = next(row for row in node(SMALL)[0]["files"].to_pylist() if row["use"] == "exe" and row["pid"] == 107)
    where = {"pid": 107, "use": "exe", "inode": file["inode"]}
    rows = after(SMALL, KIND, "files", where, use="fd", fd=5, path=path, deleted=True)
    assert [(row["severity"], row["pid"], row["path"]) for row in rows] == ([(severity, 107, path)] if severity else [])


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert len([row for row in node(NODE)[0]["files"].to_pylist() if (row["path"] or "").startswith("/var/log/")]) > 20
    assert kind(NODE, KIND) == []
