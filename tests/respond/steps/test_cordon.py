# SPDX-License-Identifier: Apache-2.0
"""Cordon: one field, what was there kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.respond.match import node_target
from memir.respond.steps.base import Facts
from memir.respond.steps.cordon import FIELD, cordon
from tests.respond import shop


@pytest.mark.parametrize("there", [None, True])
def test_cordon(tmp_path: Path, there: bool | None) -> None:
    node = next(item for item in shop.items() if item["kind"] == "Node")
    if there:
        node["spec"]["unschedulable"] = there
    facts = Facts("memir-1", shop.cluster(tmp_path, node))
    step = cordon(facts, node_target(facts.cluster, shop.NODE))
    assert [(change.before, change.after) for change in step.changes] == [({FIELD: there}, {FIELD: True})]
    assert step.changes[0].calls[1] == f'PATCH /api/v1/nodes/{shop.NODE} {{"/spec/unschedulable": true}}'
