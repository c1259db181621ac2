# SPDX-License-Identifier: Apache-2.0
"""`memir query` asks a case."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from memir.case.case import Case
from memir.cli import query
from tests.cli.conftest import Memir, registered


def test_query(memir: Memir, analysed_once: tuple[Path, Any]) -> None:
    folder, printed = analysed_once
    sql = "select pid, comm, pod_name, start_time from processes where in_container order by pid"
    document = memir("query", folder, sql, "--json").json()
    want = [row for row in printed["rows"]["processes"] if row["in_container"]]
    assert document["columns"] == ["pid", "comm", "pod_name", "start_time"]
    assert [(row["pid"], row["comm"], row["pod_name"]) for row in document["rows"]] == [
        (row["pid"], row["comm"], row["pod_name"]) for row in want
    ]
    times = [row["start_time"] for row in document["rows"]]
    assert times == [row["start_time"] for row in want]
    assert datetime.fromisoformat(times[0]).utcoffset() == timedelta(0)
    shown = memir("query", folder, "select count(*) as n, min(pid) as least from processes")
    assert shown.code == 0
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[2:] == [[str(len(printed["rows"]["processes"])), "1"], [], ["1", "row"]]


def test_queries_that_are_wrong(memir: Memir, analysed: Path, tmp_path: Path) -> None:
    folder = analysed
    for sql in ("selec 1", "select * from nothing", "select no_column from pods"):
        ran = memir("query", folder, sql)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("memir: SQL: ")
    ran = memir("query", tmp_path, "select 1")
    step = "`memir analyze IMAGE -o CASE` writes a case, which is then asked"
    assert (ran.code, ran.err) == (3, f"memir: {tmp_path} is not a case: it has no case.json: {step}\n")
    (folder / "tables" / "pods.parquet").write_bytes(b"PAR1 but not really")
    ran = memir("query", folder, "select 1")
    assert ran.code == 3
    assert ran.err.startswith(f"memir: {folder / 'tables' / 'pods.parquet'}: cannot be read: ")


def test_a_query_reaches_nothing_but_the_case(memir: Memir, analysed: Path, tmp_path: Path) -> None:
    folder = analysed
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\nhidden,1\n")
    for sql in (
        f"select * from '{secret}'",
        f"select * from read_csv('{secret}')",
        f"select * from read_text('{secret}')",
        "select * from glob('/*')",
        f"copy (select 1) to '{tmp_path / 'out.csv'}'",
        f"attach '{tmp_path / 'other.db'}' as other",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        f"set enable_external_access = true; select * from '{secret}'",
        f"export database '{tmp_path / 'export'}'",
    ):
        ran = memir("query", folder, sql)
        assert (ran.code, ran.out) == (2, ""), sql
        assert "hidden" not in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case", "secret.csv"]


def test_other_outputs(memir: Memir, analysed: Path) -> None:
    folder = analysed
    sql = "select pod_name, namespace from pods order by pod_name"
    ran = memir("query", folder, sql, "--csv", "--limit", 2)
    assert ran.out == "pod_name,namespace\nagent-x9z2k,kube-system\nminer-0,dev\n"
    ran = memir("query", folder, sql, "--jsonl")
    assert [json.loads(line)["namespace"] for line in ran.out.splitlines()] == ["kube-system", "dev", "shop"]
    listed = {row["table"]: row["rows"] for row in memir("query", folder, "--list", "--json").json()["rows"]}
    assert listed["pods"] == 3
    schema = memir("query", folder, "--schema", "pods", "--json").json()["rows"]
    assert schema[0]["column"] == "pod_uid"
    nan = memir("query", folder, "select 'nan'::double as n, 1 as n", "--json").json()
    assert nan["rows"] == [{"n": "NaN", "n_1": 1}]


def test_parquet(memir: Memir, analysed: Path, tmp_path: Path) -> None:
    folder = analysed
    file = tmp_path / "rows.parquet"
    ran = memir("query", folder, "select pid, args, start_time from processes order by pid", "--parquet", file)
    assert (ran.code, ran.out) == (0, f"{file}: {file.stat().st_size:,} bytes\n")
    table = pq.read_table(file)
    assert [str(field.type) for field in table.schema] == [
        "int32", "list<element: string>", "timestamp[us, tz=UTC]",
    ]  # fmt: skip
    assert table["pid"].to_pylist() == sorted(row["pid"] for row in Case(folder)["processes"].to_pylist())
    ran = memir("query", folder, "--list", "--parquet", tmp_path / "x")
    assert (ran.code, ran.err) == (2, "memir: --parquet writes the rows of SQL\n")
    assert memir("query", folder, "select 1", "--parquet", file).code == 3


def test_what_is_asked_in_the_wrong_way(memir: Memir, analysed: Path) -> None:
    folder = analysed
    for words, message in (
        ([folder], "one question: SQL, --list or --schema TABLE"),
        ([folder, "select 1", "--list"], "one question"),
        ([folder, "select 1", "--json", "--csv"], "--json, --csv, --jsonl and --parquet: one of them"),
        ([folder, ""], "SQL: "),
        (["select 1", folder], f"the case comes first, then the SQL: `memir query {folder} 'select 1'`"),
        ([folder, "select * from hits"], "hits (memir hunt IMAGE -o CASE)"),
    ):
        ran = memir("query", *words)
        assert (ran.code, ran.out) == (2, ""), words
        assert message in ran.err


def test_register() -> None:
    assert registered(query) == ["query"]
