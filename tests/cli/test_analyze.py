# SPDX-License-Identifier: Apache-2.0
"""`memir analyze` writes a case."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memir.cli import analyze
from memir.tables.table import tables as all_tables
from tests.cli.conftest import Memir, registered
from tests.images import case

ARROW = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "list<int32>": pa.list_(pa.int32()),
    "list<string>": pa.list_(pa.string()),
    "list<proof>": pa.list_(pa.struct([("table", pa.string()), ("key", pa.string())])),
}
WRITTEN = tuple(
    name
    for name, table in all_tables().items()
    if ("ram" in table.readers and not table.on_request) or name == "findings"
)


def tables_of(folder: Path) -> dict[str, pa.Table]:
    return {path.stem: pq.read_table(path) for path in sorted((folder / "tables").iterdir())}


def test_contents_of_a_case(analysed_once: tuple[Path, Any]) -> None:
    folder, printed = analysed_once
    names = ["case.json", "chain.jsonl", "findings.json", "secrets.key", "tables"]
    assert sorted(path.name for path in folder.iterdir()) == names
    record = json.loads((folder / "case.json").read_text())
    tables = tables_of(folder)
    assert tables.keys() == set(WRITTEN)
    assert record["tables"] == {name: tables[name].num_rows for name in WRITTEN}
    assert record["gaps"] == []
    assert record["kernel"]["release"] == "6.1.0-50-cloud-amd64"
    assert record["node"] == "ip-10-0-1-23.eu-west-1.compute.internal"
    assert datetime.fromisoformat(record["written"]).utcoffset() is not None
    assert {key: value for key, value in printed.items() if key not in ("case", "rows", "clock", "coverage")} == record
    assert printed["case"] == str(folder)
    for name in WRITTEN:
        known = {column.name for column in all_tables()[name].columns}
        assert [row.keys() for row in printed["rows"][name]] == [known] * tables[name].num_rows


@pytest.fixture(scope="module")
def written(analysed_once: tuple[Path, Any]) -> dict[str, pa.Table]:
    """Tables of one case, for the tests of each."""
    return tables_of(analysed_once[0])


@pytest.mark.parametrize("table", WRITTEN)
def test_columns_of_the_tables(table: str, written: dict[str, pa.Table]) -> None:
    found = written[table]
    assert [(field.name, field.type) for field in found.schema] == [
        (column.name, ARROW[column.type]) for column in all_tables()[table].columns
    ]
    assert {field.name: (field.metadata or {})[b"doc"].decode() for field in found.schema} == {
        column.name: column.doc for column in all_tables()[table].columns
    }
    for column in all_tables()[table].columns:
        if column.type == "string":
            assert "" not in found.column(column.name).to_pylist(), column.name


def test_rows_are_those_of_the_recording(analysed_once: tuple[Path, Any]) -> None:
    recorded = case("s-6.1-small").recorded()
    rows = {row["pid"]: row for row in tables_of(analysed_once[0])["processes"].to_pylist()}
    for pid, truth in recorded.items():
        if pid in rows:
            assert (rows[pid]["ppid"], rows[pid]["uid"], rows[pid]["exe"] is None) == (
                truth.ppid,
                truth.uid,
                truth.exe is None,
            )
    assert len(rows.keys() & recorded.keys()) >= len(recorded) - 2  # the recorder itself has ended


def test_case_that_is_there_already(memir: Memir, raw_image: Path, analysed: Path) -> None:
    folder = analysed
    before = (folder / "case.json").read_bytes()
    refused = memir("analyze", raw_image, "-o", folder)
    assert (refused.code, refused.out) == (3, "")
    assert refused.err == (
        f"memir: {folder} already holds a case: give another folder, or --force to replace its tables\n"
    )
    assert (folder / "case.json").read_bytes() == before
    (folder / "tables" / "pods.parquet").write_bytes(b"old")
    assert memir("analyze", raw_image, "-o", folder, "--force").code == 0
    assert tables_of(folder)["pods"].num_rows == 3


def test_folder_of_someone_else(memir: Memir, raw_image: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("mine")
    for option in ([], ["--force"]):
        ran = memir("analyze", raw_image, "-o", tmp_path / "home", *option)
        assert (ran.code, ran.out) == (3, "")
        assert ran.err == f"memir: {tmp_path / 'home'} is not empty and not a case of memir's: give another folder\n"
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.txt"]


def test_output_is_checked_before_the_image_is_read(memir: Memir, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = memir("analyze", tmp_path / "absent.raw", "-o", tmp_path / "file" / "case")
    assert ran.code == 3
    assert ran.err.startswith(f"memir: {tmp_path / 'file' / 'case'}: cannot be written: ")


def test_summary_for_people(memir: Memir, raw_image: Path, analysed_once: tuple[Path, Any], tmp_path: Path) -> None:
    ran = memir("analyze", raw_image, "-o", tmp_path / "case")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == "Node        ip-10-0-1-23.eu-west-1.compute.internal"
    assert lines[1] == "Kernel      6.1.0-50-cloud-amd64 x86_64, 4-level paging"
    rows = analysed_once[1]["rows"]
    inside = sum(row["in_container"] for row in rows["processes"])
    kernel = sum(row["kernel_thread"] for row in rows["processes"])
    assert lines[3] == "Taken       2026-11-23 22:12:42.272000 UTC by the image's own clock"
    assert lines[4] == "            all clocks in it show one moment; 0 lists torn, 0 contradicting claims"
    assert lines[5] == (
        f"Counts      {len(rows['processes'])} processes ({inside} in containers, {kernel} kernel threads), "
        f"7 containers (7 running), 3 pods, {len(rows['namespaces'])} namespaces"
    )
    assert "Gaps: none: everything that was looked for could be read" in lines
    for words in ("web-7d4b9c6f5-abcde", "miner-0", "agent-x9z2k"):
        assert any(words in line for line in lines)
    assert lines[6] == (
        "Kernel      2 modules, none seen to hide; 0 BPF programs; no unexpected hook; "
        "not checked: BPF of routes/xt_bpf/other qdiscs, changes of text and read-only data"
    )
    assert lines[8] == "Findings: 4 high, 1 medium"
    assert "  HIGH  deleted-executable (T1070.004 File Deletion)" in lines


def test_chosen_tables_alone(memir: Memir, raw_image: Path) -> None:
    """The summary says what was not read, and nothing of it."""
    out = memir("analyze", raw_image, "--tables", "sockets, modules").out
    assert "Not read    processes, containers, pods, namespaces, hooks, bpf: nothing is said of what they would" in out
    assert "Counts" not in out and "Drift" not in out and "The node itself" not in out
    assert "\nNetwork\n" in out
    rows = memir("analyze", raw_image, "--tables", "modules", "--json").json()["rows"]
    assert set(rows) == {"modules", "findings"}
    wrong = memir("analyze", raw_image, "--tables", "module")
    assert wrong.code == 2 and wrong.err.startswith("memir: there is no table module; a node has api_pods, bpf, ")


def test_fail_on(memir: Memir, raw_image: Path) -> None:
    """1 where a finding is that severe, and only if it was asked for."""
    tables = ("--tables", "processes,findings")
    assert memir("analyze", raw_image, *tables, "--fail-on", "critical").code == 0
    assert memir("analyze", raw_image, *tables, "--fail-on", "high").code == 1
    ran = memir("analyze", raw_image, "--fail-on", "dreadful")
    assert (ran.code, ran.err) == (
        2, "memir: severity 'dreadful': there are info, low, medium, high, critical\n",
    )  # fmt: skip


def test_register() -> None:
    assert registered(analyze) == ["analyze"]
