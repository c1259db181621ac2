# SPDX-License-Identifier: Apache-2.0
"""What is kept of a hunt: its rows, its run, what it could not read meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import memir
from memir.errors import UsageError
from memir.hunt.hunt import Hunt
from memir.hunt_options import compile_rules, hunt_options
from memir.node_hunt import hunt
from tests.images import cache, case


@pytest.fixture(scope="module")
def node() -> Iterator[memir.Node]:
    with memir.open(case("s-6.1-small").image, cache=cache()) as opened:
        yield opened


def test_rows_and_facts(node: memir.Node, tmp_path: Path) -> None:
    rule = tmp_path / "server.yar"
    rule.write_text('rule server { strings: $a = "/app/server" condition: $a }')
    rules, options = compile_rules([rule]), hunt_options(namespace="shop", kinds="process")

    def scan() -> Hunt:
        node.gaps.add("page", "a process", "met while it was scanned", 3)
        return node._scan(rules, options)

    table, hunted = hunt(node, scan, rules, options)
    rows = table.to_pylist()
    assert {(row["rule"], row["pod_name"], row["run"]) for row in rows} == {
        ("server", "web-7d4b9c6f5-abcde", hunted.run)
    }
    assert (hunted.facts.hits, len(rows)) == (hunted.result.hits, len(hunted.result.rows))
    assert [(gap.why, gap.count) for gap in hunted.gaps if gap.kind == "page"][-1] == ("met while it was scanned", 3)


def test_nothing_that_was_asked_for(node: memir.Node) -> None:
    rules, options = compile_rules(None), hunt_options(pod="shop/nobody")
    with pytest.raises(UsageError, match="no process and no file there is of --pod shop/nobody"):
        hunt(node, lambda: node._scan(rules, options), rules, options)
