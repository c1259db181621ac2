# SPDX-License-Identifier: Apache-2.0
"""Kernel modules that some lists lack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memir.gaps import Gap
from tests.findings.real import INTRUDED, NODE, SMALL, after, kind, node, on_the_node

KIND = "hidden-module"


def test_one_that_a_list_lacks() -> None:
    name = node(INTRUDED)[0]["modules"]["name"][0].as_py()
    where: dict[str, Any] = {"name": name}
    change: dict[str, Any] = {"hidden": True, "seen_by": ["scan"], "missing_from": ["list", "kset"]}
    (row,) = after(INTRUDED, KIND, "modules", where, **change)
    assert (row["severity"], row["title"]) == ("critical", f"module {name} is known to scan, not to list, kset")
    facts = replace(node(INTRUDED)[1], gaps=(Gap("RAM", "0x1", "lacks"),))
    assert [row["severity"] for row in after(INTRUDED, KIND, "modules", where, facts, **change)] == ["medium"]
    live = replace(node(INTRUDED)[1], span=102.0)
    assert [row["severity"] for row in after(INTRUDED, KIND, "modules", where, live, **change)] == ["high"]


def test_not_there() -> None:
    assert node(SMALL)[0]["modules"].num_rows > 0
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
