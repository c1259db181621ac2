# SPDX-License-Identifier: Apache-2.0
"""Writing a case: bound to its image, runs beside each other, and what --force replaces."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from memir.case.case import Case
from memir.case.identity import Identity
from memir.case.record import Facts, HuntFacts, RulesUsed, Run
from memir.case.seal import Input, read_seal
from memir.case.verify import verify
from memir.errors import CaseError, UsageError
from memir.gaps import Gap
from tests.case.test_read_record import VERSION1

ONE = Facts(Identity("ab" * 20, "b", ((0, 4096),), 7), node="n")
SECOND = Facts(Identity("ab" * 20, "b", ((0, 4096),), 8), node="n")
GAPS = (Gap("task", "0x1", "not readable", 4),)
ANALYSIS = Run("analyze", "analyze", 1.0, gaps=GAPS)


def hunt(run: str, rows: int) -> Run:
    facts = HuntFacts(RulesUsed(("a.yar",), 1), "region", ("free",), rows, rows, {"free": 4096})
    return Run(run, "hunt", 2.0, gaps=GAPS, hunt=facts)


def processes(*pids: int) -> pa.Table:
    return pa.table({"pid": pa.array(pids, pa.int32())})


def hits(*rules: str) -> pa.Table:
    return pa.table({"rule": list(rules), "run": pa.nulls(len(rules), pa.string())})


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case.create(tmp_path / "case")
    assert case.record is None
    case.add_tables({"processes": processes(1, 2)}, ANALYSIS, ONE)
    return Case.open(tmp_path / "case")


def test_open_and_ask(case: Case) -> None:
    assert case.record is not None and case.record.node == "n" and case.record.identity == ONE.identity
    assert case.tables == ("processes",)
    assert case["processes"]["pid"].to_pylist() == [1, 2]
    assert case.sql("select sum(pid) as n from processes").dicts() == [{"n": 3}]
    assert case.listing().rows == [("processes", 2), ("gaps", 1)]
    assert case["gaps"].to_pylist() == case.sql("select * from gaps").dicts()
    assert case.schema("processes").rows == [("pid", "int32", None)]
    assert repr(case) == f"Case({str(case.folder)!r})"
    with pytest.raises(CaseError, match="has no table hits; it has processes"):
        case["hits"]
    with pytest.raises(CaseError, match="already holds a case: give another folder, or --force"):
        Case.create(case.folder)


def test_work_that_fails_leaves_no_folder_that_it_made(case: Case, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name, stays in (("new", False), ("mine", True)):
        begun = Case.create(tmp_path / name)
        begun.secret_key()
        with pytest.raises(KeyboardInterrupt), begun.begun():
            raise KeyboardInterrupt
        assert (tmp_path / name).exists() is stays
    with pytest.raises(ValueError, match="x"), Case.create(case.folder, add=True).begun():
        raise ValueError("x")
    assert Case(case.folder).tables == case.tables


def test_another_image_is_refused(case: Case) -> None:
    opened = Case.create(case.folder, add=True)
    for attempt in (
        lambda: opened.check(SECOND),
        lambda: opened.add_tables({"hits": hits("A")}, hunt("1", 1), SECOND),
    ):
        with pytest.raises(CaseError) as caught:
            attempt()
        words = str(caught.value)
        assert "is the case of another image: they differ in clock." in words
        assert "1970-01-01T00:00:00.000000007Z" in words and "1970-01-01T00:00:00.000000008Z" in words
        assert f"`memir analyze IMAGE -o {case.folder} --force`" in words
    with pytest.raises(CaseError, match="2 images: a, b"):
        opened.check(Facts(images=("a", "b")))
    assert Case(case.folder).tables == ("processes",)


def test_the_same_run_replaces_its_rows_and_another_adds(case: Case) -> None:
    opened = Case.create(case.folder, add=True)
    opened.add_tables({"hits": hits("A", "A")}, hunt("1", 2), ONE)
    opened.add_tables({"hits": hits("B")}, hunt("2", 1), ONE)
    record = opened.add_tables({"hits": hits("A", "A", "A")}, hunt("1", 3), ONE)
    rows = Case(case.folder).sql("select run, rule, count(*) from hits group by all order by all").rows
    assert rows == [("1", "A", 3), ("2", "B", 1)]
    assert record.tables == {"processes": 2, "hits": 4}
    assert [(run.run, dict(run.tables)) for run in record.runs] == [
        ("analyze", {"processes": 2}), ("1", {"hits": 3}), ("2", {"hits": 1}),
    ]  # fmt: skip
    assert record.gaps == GAPS


def test_force_keeps_the_hunts_of_the_same_image_only(case: Case) -> None:
    Case.create(case.folder, add=True).add_tables({"hits": hits("A")}, hunt("1", 1), ONE)
    again = Case.create(case.folder, force=True)
    record = again.add_tables({"pods": processes(3)}, ANALYSIS, ONE)
    assert record.tables == {"pods": 1, "hits": 1} and Case(case.folder).tables == ("hits", "pods")
    other = Case.create(case.folder, force=True)
    other.check(SECOND)
    record = other.add_tables({"pods": processes(3)}, ANALYSIS, SECOND)
    assert record.tables == {"pods": 1} and record.identity == SECOND.identity
    assert Case(case.folder).tables == ("pods",)
    entries = read_seal(case.folder).entries
    assert len(entries) == 4 and "2 tables of kernel abab" in (entries[3].replaced or "")
    with pytest.raises(CaseError, match="differ in clock"):
        other.check(ONE)  # replaced once: what follows is held against the new image


def test_force_over_a_malformed_case(case: Case) -> None:
    (case.folder / "case.json").write_text("{")
    with pytest.raises(CaseError, match="not JSON"):
        Case.create(case.folder, add=True)
    record = Case.create(case.folder, force=True).add_tables({"pods": processes(3)}, ANALYSIS, SECOND)
    assert record.tables == {"pods": 1}


def test_a_hunt_through_many_images(tmp_path: Path) -> None:
    many = Facts(images=("a", "b"))
    Case.create(tmp_path / "case").add_tables({"hits": hits("A")}, hunt("1", 1), many)
    opened = Case.create(tmp_path / "case", add=True)
    opened.add_tables({"hits": hits("B")}, hunt("2", 1), many)
    assert opened.record is not None and opened.record.images == ("a", "b") and opened.record.tables == {"hits": 2}
    for facts in (Facts(images=("a",)), ONE):
        with pytest.raises(CaseError, match="is the case of other images"):
            opened.check(facts)


def test_a_case_of_0_1_0_is_read_and_takes_no_image_it_cannot_prove(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "case.json").write_text(json.dumps(VERSION1))
    opened = Case.create(tmp_path, add=True)
    same = Identity("ab" * 20, "b", ((0, 4096),), 7)
    with pytest.raises(CaseError, match="neither clock nor SHA-256 is known of both"):
        opened.check(Facts(same))
    hashed = Facts(replace(same, sha256="cd" * 32))
    record = opened.add_tables({"hits": hits("A")}, hunt("1", 1), hashed)
    assert [run.run for run in record.runs] == ["analyze", "", "1"]
    assert json.loads((tmp_path / "case.json").read_text())["schema"] == 2


def test_every_write_is_sealed_and_signed_with_the_key(case: Case) -> None:
    key = Ed25519PrivateKey.generate()
    opened = Case.create(case.folder, add=True)
    opened.add_tables({"hits": hits("A")}, hunt("1", 1), ONE, inputs=[Input("rules", "a.yar", "ef" * 32)], key=key)
    check = verify(case.folder, key.public_key())
    assert check.holds and check.signer == key.public_key().public_bytes_raw().hex()
    assert [(entry.event, entry.written) for entry in check.seal.entries] == [
        ("analyze", ("processes",)), ("hunt", ("hits",)),
    ]  # fmt: skip
    assert set(check.seal.entries[1].tables) == {"hits", "processes"}
    chain = case.folder / "chain.jsonl"
    chain.write_bytes(chain.read_bytes().replace(b'"hunt"', b'"help"'))
    with pytest.raises(CaseError, match="what is added to a broken seal proves nothing"):
        opened.add_tables({"hits": hits("A")}, hunt("1", 1), ONE)


def test_a_question_that_is_none(case: Case) -> None:
    with pytest.raises(UsageError, match="nothing is asked"):
        case.sql(" ; ")
