# SPDX-License-Identifier: Apache-2.0
"""/etc/ld.so.preload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from memir.findings.detect import detect
from memir.findings.facts import facts_of
from memir.kube.ram import RamSource
from memir.tables.table import read_tables
from tests.findings.real import INTRUDED, NODE, SMALL, kind, on_the_node
from tests.injected import renamed

NodeOf = Callable[[str], RamSource]
KIND = "preload-file"


def found_with(node: RamSource, **cells: Any) -> list[dict[str, Any]]:
    """The findings of a node with other cells in the one row of `preloads`."""
    tables = {name: frame.to_arrow() for name, frame in read_tables(node, ("preloads", "vmas", "processes")).items()}
    (row,) = tables["preloads"].to_pylist()
    tables["preloads"] = pa.Table.from_pylist([{**row, **cells}], schema=tables["preloads"].schema)
    return [row for row in detect(tables, facts_of(node)).rows() if row["kind"] == KIND]


@pytest.mark.parametrize(
    ("cells", "severity"),
    [
        ({}, "high"),
        ({"layer": "node"}, "critical"),
        ({"libraries": ["/usr/lib/liba.so"]}, "low"),
        ({"libraries": ["/usr/lib/liba.so"], "layer": "upper"}, "high"),
        ({"libraries": None}, "medium"),
        ({"libraries": []}, None),
        ({"path": "/opt/etc/ld.so.preload"}, None),
    ],
)
def test_there(cells: dict[str, Any], severity: str | None, node_of: NodeOf) -> None:
    node = renamed(node_of(SMALL), "os-release", "ld.so.preload", b"/tmp/.x/a.so\n\n")
    rows = found_with(node, **cells)
    assert [row["severity"] for row in rows] == ([severity] if severity else [])
    if not cells:
        assert rows[0]["title"] == "/etc/ld.so.preload (an image's layer) names /tmp/.x/a.so"


def test_who_has_it_mapped(node_of: NodeOf) -> None:
    """By the path of what they map."""
    node = renamed(node_of(SMALL), "os-release", "ld.so.preload", b"/app/secretd\n\n")
    (row,) = found_with(node, layer="upper")
    assert row["title"].endswith("names /app/secretd, which 1 process has mapped")
    assert [proof["table"] for proof in row["evidence"]] == ["preloads", "vmas"]


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
