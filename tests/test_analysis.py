# SPDX-License-Identifier: Apache-2.0
"""A whole analysis through the library, and one that is stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

import memir
from memir.errors import CaseError, RulesError, UsageError
from memir.report.tree import pod_tree
from tests.images import cache, case

IMAGE = case("s-6.1-small").image


def test_analyze(tmp_path: Path) -> None:
    (tmp_path / "r.yar").write_text('rule r { strings: $a = "/app/server" condition: $a }')
    analysis = memir.analyze(
        IMAGE, tmp_path / "case", rules=tmp_path / "r.yar", cache=cache(),
        extra=lambda node: {"plugin_x": pa.table({"name": [node.name]})},
    )  # fmt: skip
    assert (analysis.stopped, analysis.whole) == (False, True)
    assert set(analysis.tables) == {*analysis.node.default_tables, "hits", "plugin_x"}
    saved = memir.Case(tmp_path / "case")
    assert set(saved.tables) == set(analysis.tables)
    document = analysis.document()
    assert document["tables"] == {name: table.num_rows for name, table in analysis.tables.items()}
    assert document["clock"] == "2026-11-23T22:12:42.272000+00:00"
    assert document["evidence"]["ram_share"] == 1.0
    assert document["coverage"].startswith("100.0 % of the node's RAM is in the image")
    assert {row["kind"] for row in analysis.tables["findings"].to_pylist()} >= {"memfd-executable"}
    assert saved["findings"].equals(analysis.tables["findings"])
    written = json.loads((tmp_path / "case" / "findings.json").read_text())
    assert [row["id"] for row in written] == saved["findings"]["id"].to_pylist()


def test_without_a_case() -> None:
    analysis = memir.analyze(IMAGE, cache=cache())
    assert analysis.tables["pods"].num_rows == 3
    assert analysis.document()["tables"]["pods"] == 3


def test_tables_that_are_chosen(tmp_path: Path) -> None:
    """No other is read or written, and what needs another is not looked for; a name that there is not is said first."""
    analysis = memir.analyze(IMAGE, tmp_path / "case", tables=["modules", "pods"], cache=cache())
    assert set(analysis.tables) == {"modules", "pods", "findings"}
    assert set(memir.Case(tmp_path / "case").tables) == {"modules", "pods", "findings"}
    assert list(analysis.record.gaps) == []
    assert set(memir.analyze(IMAGE, tables=["threads"], cache=cache()).tables) == {"threads"}
    with pytest.raises(UsageError, match="there is no table pod; a node has api_pods, bpf, "):
        memir.analyze(IMAGE, tables=["pod"], cache=cache())


def test_a_table_that_is_read_on_request(tmp_path: Path) -> None:
    """Beside the usual ones, where its name has a + before it."""
    analysis = memir.analyze(IMAGE, tmp_path / "case", tables=["+page_hashes"], cache=cache())
    assert set(analysis.tables) == set(analysis.node.tables) == {*analysis.node.default_tables, "page_hashes"}
    assert "page_hashes" in memir.Case(tmp_path / "case").tables
    with pytest.raises(UsageError, match="there is no table page_hash; "):
        memir.analyze(IMAGE, tables=["+page_hash"], cache=cache())


def test_what_fails_fails_first(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(CaseError, match="not a case of memir's"):
        memir.analyze(tmp_path / "absent.raw", tmp_path / "mine")
    with pytest.raises(RulesError):
        memir.analyze(tmp_path / "absent.raw", rules=tmp_path / "no.yar")


def test_an_interruption_keeps_what_was_read(tmp_path: Path) -> None:
    def interrupted(node: memir.Node) -> dict[str, pa.Table]:
        raise KeyboardInterrupt

    analysis = memir.analyze(IMAGE, tmp_path / "case", cache=cache(), extra=interrupted)
    assert analysis.stopped
    assert set(memir.Case(tmp_path / "case").tables) == set(analysis.node.default_tables)


def test_an_interruption_between_tables_is_a_gap(tmp_path: Path) -> None:
    def progress(what: str, done: int, total: int) -> None:
        if what == "reading containers" and not seen:
            seen.append(what)
            raise KeyboardInterrupt

    seen: list[str] = []
    analysis = memir.analyze(IMAGE, tmp_path / "case", cache=cache(), progress=progress)
    assert analysis.stopped
    read = {"processes"}
    assert set(analysis.tables) == set(memir.Case(tmp_path / "case").tables) == read | {"findings"}
    gaps = {gap.why: gap.count for gap in analysis.node.gaps if gap.kind == "table"}
    assert gaps == {"interrupted by the user before it was read": len(analysis.node.default_tables) - 2}
    assert {row["kind"] for row in analysis.tables["findings"].to_pylist()} >= {"memfd-executable"}
    assert list(pod_tree({})) == ["Pods", "└── the node itself: 0 processes"]


def test_what_grows_with_the_ram_is_read_last(tmp_path: Path) -> None:
    """Who has not the time for a large image has processes, sockets and files, and their findings."""

    def progress(what: str, done: int, total: int) -> None:
        if what == "reading pages":
            raise KeyboardInterrupt

    analysis = memir.analyze(IMAGE, tmp_path / "case", cache=cache(), progress=progress)
    missing = set(analysis.node.default_tables) - set(analysis.tables)
    assert analysis.stopped and missing == {"pages", "secrets"}
    assert {row["kind"] for row in analysis.tables["findings"].to_pylist()} >= {
        "deleted-executable",
        "memfd-executable",
    }


def test_an_interruption_before_anything_was_read(tmp_path: Path) -> None:
    def progress(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memir.analyze(IMAGE, tmp_path / "case", cache=cache(), progress=progress)
    assert list(tmp_path.iterdir()) == []  # nothing was kept, and no folder looks as if
