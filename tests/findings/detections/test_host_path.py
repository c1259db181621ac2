# SPDX-License-Identifier: Apache-2.0
"""Folders of the node in containers."""

from __future__ import annotations

from typing import Any

import pytest

from memir.findings.detections.host_path import match_of, reachable, whose_agent
from memir.findings.look import Look
from memir.tables.sql import connected
from tests.findings.real import INTRUDED, NODE, SMALL, Row, after, kind, node, on_the_node

KIND = "host-path"


@on_the_node
def test_on_the_node() -> None:
    """The agent's own /host, once: what is mounted below it is not told again."""
    (row,) = kind(NODE, KIND)
    assert (row["severity"], row["title"]) == (
        "info", "kube-system/node-agent-2zlxg/agent has / of the node at /host, to read",
    )  # fmt: skip


def led_to(source_path: str, **more: Any) -> list[Row]:
    """The root mount of the miner's container as if it were a hostPath."""
    (mount,) = (row for row in node(SMALL)[0]["mounts"].to_pylist()
                if row["container_name"] == "miner" and row["mount_point"] == "/dev" and not row["hidden"])  # fmt: skip
    where = {"mnt_ns": mount["mnt_ns"], "mount_id": mount["mount_id"]}
    return after(SMALL, KIND, "mounts", where, volume_kind="hostPath", source_path=source_path, **more)


@pytest.mark.parametrize(
    ("path", "options", "severity"),
    [("/etc", ["rw"], "medium"), ("/", ["ro"], "low"), ("/data/shop", ["rw"], None), ("/etcetera", ["rw"], None)],
)
def test_which_folder_and_how(path: str, options: list[str], severity: str | None) -> None:
    rows = led_to(path, options=options)
    assert [(row["severity"], row["pod_name"]) for row in rows] == ([(severity, "miner-0")] if severity else [])


def test_a_covered_mount_gives_nothing() -> None:
    assert led_to("/etc", hidden=True) == []


def test_whose_agent() -> None:
    assert whose_agent({"owner": "DaemonSet/x", "namespace": "kube-system"}, "high")[0] == "info"
    assert whose_agent({"owner": "DaemonSet/x", "namespace": "shop"}, "high")[0] == "low"
    assert whose_agent({"owner": "ReplicaSet/x"}, "high")[0] == whose_agent({}, "high")[0] == "high"


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


def test_what_is_said_of_a_mount() -> None:
    """Of a container that is known its first process is named; of another the mount itself. Nothing reaches nothing."""
    tables, facts = node(SMALL)
    (mount,) = (row for row in tables["mounts"].to_pylist()
                if row["container_name"] == "miner" and row["mount_point"] == "/dev" and not row["hidden"])  # fmt: skip
    with connected(tables) as connection:
        look = Look(tables, connection, facts)
        known = match_of(look, mount, "low", "why", "what")
        other = match_of(look, mount | {"container_id": "0" * 64}, "low", "why", "what")
        assert list(reachable(look, lambda path: True, "x")) == []
    assert known.row["pid"] == look.by_container[mount["container_id"]]["init_pid"]
    assert (known.severity, known.reason, known.path) == ("low", "why", mount["source_path"])
    assert other.row == mount | {"container_id": "0" * 64} and other.proofs == known.proofs
