# SPDX-License-Identifier: Apache-2.0
"""Processes of the node that run a file which a pod could write."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from memir.findings.detect import detect
from tests.findings.real import INTRUDED, NODE, SMALL, Row, kind, node, on_the_node

KIND = "program-from-host-path"
LATER = datetime(2026, 11, 23, 22, 12, 40, tzinfo=UTC)


def dropped(exe: str, source: str, start: datetime, options: list[str]) -> list[Row]:
    """The node's kubelet (pid 107) as another program, and a mount of the miner's container as a hostPath."""
    tables, facts = node(SMALL)
    mounts = tables["mounts"].to_pylist()
    for row in mounts:
        if row["container_name"] == "miner" and row["mount_point"] == "/dev":
            row.update(volume_kind="hostPath", source_path=source, options=options)
    processes = [
        {**row, **({"exe": exe, "start_time": start} if row["pid"] == 107 else {})}
        for row in tables["processes"].to_pylist()
    ]
    changed = {
        **tables,
        "mounts": pa.Table.from_pylist(mounts, schema=tables["mounts"].schema),
        "processes": pa.Table.from_pylist(processes, schema=tables["processes"].schema),
    }
    return [row for row in detect(changed, facts).rows() if row["kind"] == KIND]


def test_a_program_that_was_dropped() -> None:
    (row,) = dropped("/etc/cron.d/run/x", "/etc", LATER, ["rw"])
    assert (row["severity"], row["pid"], row["path"]) == ("high", 107, "/etc/cron.d/run/x")
    assert "which dev/miner-0/miner could write at /dev" in row["title"]


@pytest.mark.parametrize(
    ("exe", "source", "start", "options"),
    [
        ("/etc/x", "/etc", datetime(2026, 11, 23, 22, 12, 30, tzinfo=UTC), ["rw"]),  # before the container
        ("/etc/x", "/etc", LATER, ["ro"]),
        ("/usr/bin/kubelet", "/", LATER, ["rw"]),
        ("/etcetera/x", "/etc", LATER, ["rw"]),
    ],
)
def test_not_there(exe: str, source: str, start: datetime, options: list[str]) -> None:
    assert dropped(exe, source, start, options) == []


def test_on_images_as_they_are() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
