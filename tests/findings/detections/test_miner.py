# SPDX-License-Identifier: Apache-2.0
"""Miners of cryptocurrencies."""

from __future__ import annotations

import pyarrow as pa
import pytest

from memir.findings.detect import detect
from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, given, kind, node, on_the_node

KIND = "miner"


def test_there() -> None:
    assert brief(kind(INTRUDED, KIND)) == {("high", "api-58f6c9d7b4-q8xkz", "api", 221)}


@on_the_node
def test_on_the_node() -> None:
    assert brief(kind(NODE, KIND)) == {("high", "api-8489696577-l7df2", "api", 1176)}


@pytest.mark.parametrize(
    ("exe", "args", "severity"),
    [
        ("/tmp/x", ["x", "--donate-level=1"], "high"),
        ("/tmp/xmrig", ["x"], "medium"),
        ("/bin/grep", ["grep", "-r", "xmrig", "/"], "info"),
        ("/app/server", ["server", "--domino", "8080"], None),
    ],
)
def test_words(exe: str, args: list[str], severity: str | None) -> None:
    rows = after(SMALL, KIND, "processes", {"pid": 150}, exe=exe, args=args)
    assert [row["severity"] for row in rows] == ([severity] if severity else [])


def test_a_hunt_that_matched() -> None:
    tables, facts = node(SMALL)
    hits = pa.table({"hit_id": ["h1", "h2"], "rule": ["XMRig_Miner", "Other"], "pid": pa.array([150, 152], pa.int32())})
    (row,) = (row for row in detect({**tables, "hits": hits}, facts).rows() if row["kind"] == KIND)
    assert (row["severity"], row["pid"], row["evidence"][1]) == ("high", 150, {"table": "hits", "key": "hit_id = 'h1'"})


@pytest.mark.parametrize(
    ("exe", "container", "severity"),
    [
        ("/usr/bin/containerd", None, "info"),
        ("/usr/local/bin/containerd-shim-runc-v2", None, "info"),
        ("/usr/bin/kubelet", None, "info"),
        ("/tmp/kubelet", None, "high"),
        ("/usr/bin/kubelet", "c" * 64, "high"),
        ("/usr/bin/kubelet-x", None, "high"),
    ],
)
def test_a_hunt_that_matched_in_what_holds_every_spec(exe: str, container: str | None, severity: str) -> None:
    tables, _ = node(SMALL)
    rows = tables["processes"].to_pylist()
    for process in rows:
        if process["pid"] == 150:
            process.update(exe=exe, container_id=container)
    hits = pa.table({"hit_id": ["h1"], "rule": ["XMRig_Miner"], "pid": pa.array([150], pa.int32())})
    processes = pa.Table.from_pylist(rows, schema=tables["processes"].schema)
    (row,) = given(SMALL, KIND, processes=processes, hits=hits)
    assert (row["severity"], row["pid"]) == (severity, 150)


def test_not_there() -> None:
    """A pod's name says nothing: miner-0 of the small images mines nothing."""
    assert kind(SMALL, KIND) == []
