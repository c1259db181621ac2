# SPDX-License-Identifier: Apache-2.0
"""A line a container: what it made, changed and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from memir.kube.ram import RamSource
from memir.report.drift import MOST, drift_lines, drift_rows
from memir.tables.inodes import TABLE

NodeOf = Callable[[str], RamSource]


def test_lines_of_an_image(node_of: NodeOf) -> None:
    rows = drift_rows(TABLE.read(node_of("s-6.1-small")).to_arrow())
    assert {row["layer"] for row in rows} == {"upper"} and {row["noise"] for row in rows} == {None}
    assert drift_lines(rows) == [
        "dev/miner-0 miner: created /tmp/.d, /tmp/dropper (deleted)",
        "shop/web-7d4b9c6f5-abcde web: created /tmp/app.sock, /tmp/server.log",
    ]


def test_lines_of_a_node(node_of: NodeOf, image: str) -> None:
    if not image.startswith("node-"):
        pytest.skip("no node of the lab")
    lines = drift_lines(drift_rows(TABLE.read(node_of(image)).to_arrow()))
    assert [line for line in lines if "/api-" in line] == [
        "shop/api-8489696577-l7df2 api: created /tmp/.x/kworkerds (deleted)"
    ]
    assert all("/var/lib/nginx/body/" in line for line in lines if "/web-" in line)


def row(**changed: Any) -> dict[str, Any]:
    plain = {
        "namespace": "shop", "pod_name": "api", "container_id": "a" * 64, "container_name": "main",
        "container_path": "/a", "kind": "regular", "change": "created", "noise": None, "layer": "upper",
        "deleted": False, "freed": False,
    }  # fmt: skip
    return plain | changed


def test_a_sandbox_is_called_so() -> None:
    box = row(container_name=None)
    assert drift_lines([box], [{"container_id": "a" * 64, "kind": "sandbox"}]) == ["shop/api sandbox: created /a"]
    other = {"container_id": "a" * 64, "kind": "container"}
    assert drift_lines([box], [other]) == ["shop/api aaaaaaaaaaaa: created /a"]


def test_words() -> None:
    lines = drift_lines([
        row(), row(container_path="/b", change="modified"), row(container_path="/c", change="whiteout", kind="char"),
        row(container_path="/d", kind="directory", change="opaque"), row(container_path="/e", change=None),
        row(container_path="/x", kind="directory"), row(container_path="/x/y", deleted=True),
        row(container_path="/z", noise="runtime"), row(container_path="/", kind="directory"), row(freed=True),
        row(pod_name=None, container_name=None), row(pod_name=None, container_name=None, container_id=None),
    ])  # fmt: skip
    assert lines == [
        "aaaaaaaaaaaa: created /a",
        "container not known: created /a",
        "shop/api main: deleted /c; replaced /d/; created /a, /x/y (deleted); modified /b; changed /e",
    ]


def test_long_lines_are_cut() -> None:
    (line,) = drift_lines(row(container_path=f"/{number}") for number in range(MOST + 3))
    assert line.endswith(" and 3 more") and line.count(",") == MOST - 1
