# SPDX-License-Identifier: Apache-2.0
"""Tables as they lie in the page: nothing is lost, proofs lead to their rows, hostile keys to none."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memir.report.html.tables import ROW, SLICE, completed, events, numbered, page_table, proofs
from memir.tables.table import tables as known_tables
from tests.findings.real import INTRUDED, every, node


def test_every_table_is_whole_in_the_page() -> None:
    tables = node(INTRUDED)[0]
    assert {"processes", "sockets", "log"} <= set(tables)
    for name, table in tables.items():
        page = page_table(name, table, "doc")
        read = pq.read_table(io.BytesIO(base64.b64decode(page.data)))
        names = [column["name"] for column in page.head["columns"]]
        assert read.column_names == names, name
        assert sorted([*names, *page.head["empty"]]) == sorted(table.column_names), name
        for column in names:
            assert read[column].to_pylist() == table[column].to_pylist(), (name, column)
        assert page.head["rows"] == table.num_rows and page.head["doc"] == "doc"
        assert all(column["doc"] for column in page.head["columns"]), name


def test_row_groups_are_small() -> None:
    table = pa.table({"n": pa.array(range(3 * SLICE + 1), pa.int64())})
    groups = pq.ParquetFile(io.BytesIO(base64.b64decode(page_table("t", table).data))).metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [SLICE, SLICE, SLICE, 1]


def test_events_lead_to_their_rows(intruded: Path) -> None:
    import memir

    case = memir.Case(intruded)
    tables = {name: case[name] for name in case.tables}
    made = events(tables)
    told = memir.Case(intruded).timeline()
    assert made.num_rows == len(told.rows)
    assert sorted(map(str, made["text"].to_pylist())) == sorted(row[2] for row in told.rows)
    for event in made.to_pylist()[:: max(1, made.num_rows // 200)]:
        row = tables[event["source"]].slice(event["row"], 1).to_pylist()[0]
        assert event["time"] in row.values() and event["pod_name"] == row["pod_name"]
    assert events({}).num_rows == 0


def test_events_of_logs_are_among_them() -> None:
    at = pa.array([1_000_000, 2_000_000, 3_000_000], pa.timestamp("us", "UTC"))
    text = {name: pa.nulls(3, pa.string()) for name in ("impersonated", "request_uri", "subresource", "pod_name",
            "namespace", "container_name", "object_namespace")}  # fmt: skip
    audit = pa.table({
        **text, "time": at, "user": ["eve"] * 3, "source_ips": [["10.9.9.9"]] * 3, "verb": ["create", "list", "list"],
        "resource": ["pods", "pods", "secrets"], "object_name": ["x", None, None], "code": [201, 200, 200],
        "stage": ["ResponseComplete"] * 3, "log": ["audit.log"] * 3, "line": [1, 2, 3],
    })  # fmt: skip
    sessions = pa.table({
        **{name: column.slice(0, 1) for name, column in text.items()}, "kind": ["exec"], "time": at.slice(0, 1),
        "end": at.slice(2, 1), "user": ["eve"], "source_ips": [["10.9.9.9"]], "object_name": ["x"], "code": [101],
        "command": [["sh"]], "pids": pa.array([[7]], pa.list_(pa.int32())), "audit_id": ["id"],
    })  # fmt: skip
    made = events({"audit": audit, "sessions": sessions}).to_pylist()
    assert [(row["kind"], row["source"], row["row"], row["text"]) for row in made] == [
        ("audit", "audit", 0, "eve from 10.9.9.9: create pods x, HTTP 201"),
        ("session", "sessions", 0, "exec of x by eve from 10.9.9.9, HTTP 101: sh; left 7"),
        ("audit", "audit", 2, "eve from 10.9.9.9: list secrets , HTTP 200"),
        ("session-end", "sessions", 0, "exec of x by eve from 10.9.9.9"),
    ]


def test_proofs_are_rows() -> None:
    tables, findings = node(INTRUDED)[0], every(INTRUDED)
    made = proofs(findings, tables)
    assert len(made) == len(findings)
    for finding, each in zip(findings, made, strict=True):
        for proof in each:
            assert proof["rows"], finding["id"]
            if proof["key"].startswith("pid = "):
                pids = {tables[proof["table"]]["pid"][row].as_py() for row in proof["rows"]}
                assert pids == {int(proof["key"].split()[2])}


@pytest.mark.parametrize(
    "key",
    [
        "",
        "pid = ",
        "nothing = 1",
        "true) union all select 0, 0 --",
        "1; drop table t",
        "pid = (select 1 from '/etc/passwd')",
    ],
)
def test_a_key_that_is_no_condition_proves_nothing(key: str) -> None:
    table = pa.table({"pid": [1, 2, 3]})
    good = {"table": "t", "key": "pid >= 2"}
    (made,) = proofs([{"evidence": [good, {"table": "t", "key": key}]}], {"t": table})
    assert made[0] == {**good, "rows": [1, 2], "more": 0}
    assert made[1]["rows"] is None


def test_a_key_cannot_reach_other_rows() -> None:
    table = pa.table({"pid": [1, 2, 3]})
    keys = ["pid = 1 union all select 99999, 99999", "pid = 2 union all select 0, -5"]
    (made,) = proofs([{"evidence": [{"table": "t", "key": key} for key in keys]}], {"t": table})
    assert [proof["rows"] for proof in made] == [[0], [1]]
    (gone,) = proofs([{"evidence": [{"table": "u", "key": "true"}, {"table": "x; y", "key": "true"}]}], {"x; y": table})
    assert [proof["rows"] for proof in gone] == [None, None]
    many = pa.table({"pid": [7] * 500})
    ((proof,),) = proofs([{"evidence": [{"table": "t", "key": "true"}]}], {"t": many})
    assert (len(proof["rows"]), proof["more"]) == (200, 300)


def test_completed() -> None:
    made = completed("processes", pa.table({"pid": pa.array([1], pa.int32())}))
    assert set(made.column_names) == {column.name for column in known_tables()["processes"].columns}
    assert made["comm"].to_pylist() == [None] and completed("linux.pslist", made) is made


def test_numbered() -> None:
    assert numbered({"t": pa.table({"a": [5, 6]})})["t"][ROW].to_pylist() == [0, 1]
