# SPDX-License-Identifier: Apache-2.0
"""Custody in the page: what `memir verify` says at the moment when the report is made."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from memir.case.case import Case
from memir.case.seal import read_seal
from memir.report.html.custody import custody
from tests.case.test_case import ANALYSIS, ONE


def test_custody(tmp_path: Path) -> None:
    Case.create(tmp_path / "c").add_tables({"processes": pa.table({"pid": [1]})}, ANALYSIS, ONE)
    told = custody(tmp_path / "c")
    assert (told["holds"], told["problems"], told["signer"]) == (True, [], None)
    assert told["signed"] == "unsigned: anyone can seal it again"
    (entry,) = told["entries"]
    seal = read_seal(tmp_path / "c")
    assert told["head"] == entry["hash"] == seal.head and entry["written"] == ["processes"]
    assert entry["tables"] == dict(seal.entries[0].tables)
    (tmp_path / "c" / "tables" / "processes.parquet").write_bytes(b"changed")
    told = custody(tmp_path / "c")
    assert told["holds"] is False
    assert told["problems"] == ["tables/processes.parquet is not what was sealed: it was changed"]
