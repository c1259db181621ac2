# SPDX-License-Identifier: Apache-2.0
"""Clear values of secrets are in no file of a case but one, and in no output that was not asked for them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pyarrow.parquet as pq

from tests.cli.conftest import Memir
from tests.planted import PASSWORD, planted


def test_no_file_of_a_case_holds_a_clear_value(memir: Memir, tmp_path: Path) -> None:
    image = planted(tmp_path / "node.raw")
    folder, rules = tmp_path / "case", tmp_path / "password.yar"
    rules.write_text("rule Password : secret { strings: $a = /DB_PASSWORD=[!-~]{8,64}/ condition: $a }")
    printed = memir("analyze", image, "-o", folder, "--json", "--cache", tmp_path / "cache", "--rules", rules)
    assert printed.code == 0 and PASSWORD not in printed.out + printed.err
    hunted = memir("hunt", image, "--rules", rules, "-o", folder, "--show-secrets", "--cache", tmp_path / "cache")
    assert hunted.code == 0 and PASSWORD in hunted.out
    kept = folder / "tables" / "secret_values.parquet"
    assert PASSWORD in [row["value"] for row in pq.read_table(kept).to_pylist()]
    assert stat.S_IMODE(kept.stat().st_mode) == stat.S_IMODE((folder / "secrets.key").stat().st_mode) == 0o600
    key = (folder / "secrets.key").read_bytes()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != kept and path.name != "secrets.key":
            content = path.read_bytes()
            assert PASSWORD.encode() not in content and key not in content and key.hex().encode() not in content
            if path.suffix == ".parquet":
                assert PASSWORD not in str(pq.read_table(path).to_pylist()), path.name
    sql = "select value from secret_values join secrets using (fingerprint) where pid is not null"
    assert memir("query", folder, sql).code == 2
    for option in ("--reveal", "--show-secrets"):
        assert PASSWORD in memir("query", folder, sql, option).out
    shown = memir("query", folder, "select holder, name, count(*) as n from secrets group by all", "--jsonl").out
    assert {json.loads(line)["holder"] for line in shown.splitlines()} >= {"environ", "hit"}
