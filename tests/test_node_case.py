# SPDX-License-Identifier: Apache-2.0
"""What a node writes into a case: tables, a hunt behind them, and the record alone where no case is asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import memir
from memir.case.case import Case
from memir.case.seal import read_seal
from memir.node_case import write
from tests.images import cache, case

RULE = 'rule server { strings: $a = "/app/server" condition: $a }'


@pytest.fixture(scope="module")
def node() -> Iterator[memir.Node]:
    with memir.open(case("s-6.1-small").image, cache=cache()) as opened:
        yield opened


def test_a_record_without_a_case(node: memir.Node) -> None:
    told: list[tuple[str, int, int]] = []
    record = write(
        node, None, tables=["pods", "processes"], begun=time.monotonic() - 5,
        progress=lambda what, done, total: told.append((what, done, total)),
    )  # fmt: skip
    assert record.tables == {"pods": 3, "processes": 67}
    assert record.runs[0].seconds >= 5
    assert told == [("reading pods", 0, 2), ("reading processes", 1, 2), ("reading tables", 2, 2)]


def test_a_hunt_goes_into_the_case_of_an_analysis(node: memir.Node, tmp_path: Path) -> None:
    (tmp_path / "server.yar").write_text(RULE)
    target = Case.create(tmp_path / "case")
    write(node, target, tables=["pods"], begun=time.monotonic())
    hits = node.hunt(tmp_path / "server.yar", kinds="process")
    record = write(node, target, begun=time.monotonic(), hunts_only=True, sha256=True)
    assert record.tables["pods"] == 3
    assert record.tables["hits"] == len(hits)
    assert [run.run for run in record.runs][-1] == hits.run
    assert record.evidence is not None
    assert record.evidence.ram_share == pytest.approx(1)
    inputs = read_seal(tmp_path / "case").entries[-1].inputs
    assert [Path(used.path).name for used in inputs] == [case("s-6.1-small").image.name, "server.yar"]
