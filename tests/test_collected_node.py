# SPDX-License-Identifier: Apache-2.0
"""A collected pod opened as a node: tables, SQL, findings, a case; options that are of RAM alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import memir
from memir.collected_node import CollectedNode, moment, open_collected
from memir.errors import CustodyError, UsageError
from memir.open_node import is_collected, open_memory
from tests.collected.made import PARTIAL, POD, folder


def test_tables_sql_and_findings(tmp_path: Path) -> None:
    with memir.open(folder(tmp_path / "ev")) as node:
        assert isinstance(node, CollectedNode)
        assert repr(node) == f"<memir.Node, collected pod shop/web-1, {tmp_path / 'ev'}>"
        assert node.name == "node-1"
        sql = "select p.comm, s.local_port from processes p join sockets s on p.pid = s.pid"
        assert node.sql(sql).to_arrow().to_pylist() == [{"comm": "nginx", "local_port": 8080}]
        kinds = {row["kind"] for row in node.findings.to_arrow().to_pylist()}
        assert "deleted-executable" in kinds
        gap = next(gap for gap in node.gaps if gap.why == "a collected pod does not hold what it is of")
        assert "bpf" in gap.where
        with pytest.raises(UsageError, match="there is no table bpf"):
            node["bpf"]


def test_a_case_that_is_sealed_and_masked(tmp_path: Path) -> None:
    case = tmp_path / "case"
    analysis = memir.analyze(folder(tmp_path / "ev"), case)
    assert analysis.whole
    assert analysis.record.evidence is not None
    assert (analysis.record.kernel, analysis.record.evidence.format) == (None, "collected pod")
    assert analysis.record.identity is not None
    assert analysis.record.identity.clock == moment("2026-11-29T12:00:00Z")
    assert b"hunter2-of-nginx" not in b"".join(path.read_bytes() for path in case.rglob("*.parquet")
                                               if "secret_values" not in path.name)  # fmt: skip
    with pytest.raises(memir.errors.CaseError):
        memir.analyze(folder(tmp_path / "other", PARTIAL), case)
    assert not memir.analyze(tmp_path / "other").whole


def test_what_is_of_ram_alone(tmp_path: Path) -> None:
    path = folder(tmp_path / "ev")
    assert is_collected(path)
    assert not is_collected(tmp_path)
    with pytest.raises(UsageError, match=r"--isf: .* is a collected pod, which has no kernel: leave it out"):
        memir.open(path, isf="x.json")
    with pytest.raises(UsageError, match="holds no memory: it was collected with --no-memory"):
        open_collected(path).hunt()
    with pytest.raises(UsageError, match="is a collected pod, which has no kernel"):
        open_memory(path)
    node = memir.open(path)
    for ask in (lambda: node.anchors, lambda: node.source.kernel, lambda: node.source.pid_of):
        with pytest.raises(UsageError, match="which has no kernel: `memir analyze` and `memir hunt` take it"):
            ask()
    with pytest.raises(CustodyError, match="no receipt"):
        open_collected(tmp_path)
    assert (moment("x"), moment("1970-01-01T00:00:01+00:00")) == (None, 1_000_000_000)
    assert POD.namespace == "shop"
