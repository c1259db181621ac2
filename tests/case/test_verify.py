# SPDX-License-Identifier: Apache-2.0
"""What a check of a case says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from memir.case.case import Case
from memir.case.verify import UNSIGNED, is_case, verify
from memir.errors import CaseError
from tests.case.test_case import ANALYSIS, ONE, hits, hunt, processes
from tests.case.test_read_record import VERSION1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Case.create(tmp_path / "case").add_tables({"processes": processes(1)}, ANALYSIS, ONE)
    return tmp_path / "case"


def test_whole_but_unsigned(folder: Path) -> None:
    check = verify(folder)
    assert (check.holds, check.signer, check.signed, check.problems) == (True, None, UNSIGNED, ())
    assert check.identity == ONE.identity and is_case(folder) and not is_case(folder / "tables")


def test_signed_then_written_again_without_the_key(folder: Path) -> None:
    key = Ed25519PrivateKey.generate()
    Case.create(folder, add=True).add_tables({"hits": hits("A")}, hunt("1", 1), ONE, key=key)
    public = key.public_key().public_bytes_raw().hex()
    assert verify(folder).signed == f"signed by {public}"
    Case.create(folder, add=True).add_tables({"hits": hits("B")}, hunt("2", 1), ONE)
    check = verify(folder, key.public_key())
    assert check.holds and check.signer is None
    assert check.signed == f"entries 1 to 2 are signed by {public}, the last 1 are {UNSIGNED}"


def test_what_was_changed_is_named(folder: Path) -> None:
    table = folder / "tables" / "processes.parquet"
    content = table.read_bytes()
    table.write_bytes(content[:-1] + b"x")
    assert verify(folder).problems == ("tables/processes.parquet is not what was sealed: it was changed",)
    table.unlink()
    assert verify(folder).problems == ("tables/processes.parquet is not there, and was sealed",)
    table.write_bytes(content)
    (folder / "tables" / "pods.parquet").write_bytes(content)
    assert verify(folder).problems == ("tables/pods.parquet was never sealed: memir did not write it",)
    (folder / "tables" / "pods.parquet").unlink()
    record = json.loads((folder / "case.json").read_text())
    (folder / "case.json").write_text(json.dumps({**record, "node": "another"}))
    assert verify(folder).problems == ("case.json is not what entry 1 sealed: it was changed",)
    (folder / "findings.json").write_text("[]")
    assert "findings.json is not what was sealed: it was changed" in verify(folder).problems
    (folder / "findings.json").unlink()
    (folder / "chain.sig").write_text("{}")
    assert len(verify(folder).problems) == 2
    (folder / "chain.jsonl").unlink()
    assert "its seal was taken away" in verify(folder).problems[0]


def test_a_case_that_was_never_sealed(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_text(json.dumps(VERSION1))
    check = verify(tmp_path)
    assert not check.holds and "never sealed (memir 0.1.0)" in check.problems[0]
    with pytest.raises(CaseError, match="is not a case"):
        verify(tmp_path / "none")
