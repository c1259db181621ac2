# SPDX-License-Identifier: Apache-2.0
"""Columns to Arrow and Parquet and back, whatever they are made of."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.errors import CaseError
from memir.tables.frame import (
    Frame,
    arrow_type,
    beyond_years,
    coded,
    in_range,
    known,
    plain,
    taken,
    text_array,
    write_parquet,
)  # fmt: skip


def test_columns_of_every_kind() -> None:
    frame = Frame({
        "whole": np.arange(3, dtype=np.uint64),
        "masked": np.ma.MaskedArray(np.arange(3), [False, True, False]),
        "list": ["a", None, "c"],
        "arrow": pa.array([True, None, False]),
        "lists": [[1], None, []],
    })  # fmt: skip
    assert (frame.names, len(frame)) == (["whole", "masked", "list", "arrow", "lists"], 3)
    assert frame["whole"].dtype == np.uint64
    assert (
        frame.rows()
        == list(frame)
        == [
            {"whole": 0, "masked": 0, "list": "a", "arrow": True, "lists": [1]},
            {"whole": 1, "masked": None, "list": None, "arrow": None, "lists": None},
            {"whole": 2, "masked": 2, "list": "c", "arrow": False, "lists": []},
        ]
    )
    assert frame.to_arrow().schema.field("whole").type == pa.uint64()
    assert len(Frame({})) == 0


def test_rows_in_another_order() -> None:
    """Of every kind of column, and what the rows are owned by with them."""
    data = {
        "array": np.array([1, 2, 3]),
        "masked": np.ma.masked_array([1, 2, 3], [False, True, False]),
        "list": ["a", None, "c"],
        "arrow": pa.array(["x", None, "z"]).dictionary_encode(),
    }
    taken = Frame(data, keys=np.array([7, 8, 9], np.uint64)).take([2, 1])
    assert taken.rows() == [
        {"array": 3, "masked": 3, "list": "c", "arrow": "z"},
        {"array": 2, "masked": None, "list": None, "arrow": None},
    ]
    assert taken.keys.tolist() == [9, 8]
    assert Frame({"list": [1]}).take(np.zeros(0, np.int64)).keys is None


def test_taken() -> None:
    """Of arrays, masked ones, Arrow's and lists: these rows in this order."""
    masked = np.ma.masked_array([7, 8, 9], [False, True, False])
    assert taken(masked, [2, 1]).tolist() == [9, None]
    assert taken(np.array([7, 8, 9]), np.array([2, 0])).tolist() == [9, 7]
    assert taken(pa.array(["a", None, "c"]), [1, 2]).to_pylist() == [None, "c"]
    assert taken(["a", None, "c"], [2, 2]) == ["c", "c"]


def test_text_array() -> None:
    """Strings with no Python string made; one that is no UTF-8 has backslash escapes, as in texts()."""
    array = text_array([b"/a", None, "/ä".encode(), b""])
    assert (array.type, array.to_pylist()) == (pa.string(), ["/a", None, "/ä", ""])
    assert text_array([b"/a", b"/\xff", None]).to_pylist() == ["/a", "/\\xff", None]


def test_few_texts() -> None:
    array = coded(["upper", None], np.array([0, 1, 0], np.uint16))
    assert (array.type, array.to_pylist()) == (pa.string(), ["upper", None, "upper"])


def test_numbers_that_a_column_cannot_hold() -> None:
    big = np.array([5, 1 << 31, (1 << 64) - 1], np.uint64)
    assert in_range(big, pa.int32()) == ([5, None, None], 2)
    assert in_range(np.ma.masked_array([1, -1], [True, False]), pa.uint32()) == ([None, None], 1)
    assert in_range([[1, 1 << 40], None, []], pa.list_(pa.int32())) == ([[1], None, []], 1)
    assert in_range(pa.array([1, -1]), pa.uint64()) == ([1, None], 1)
    texts = ["a", None]
    assert in_range(texts, pa.string()) == (texts, 0)


def test_times_that_no_calendar_has() -> None:
    kind = pa.timestamp("us", "UTC")
    last = 253_402_300_799_999_999
    assert in_range([0, None, last, last + 1], kind) == ([0, None, last, None], 1)
    assert in_range(pa.array([7, 1 << 62], kind), kind) == ([7, None], 1)
    for time, beyond in ((last, False), (last + 1, True), (None, False)):
        assert beyond_years(pa.table({"n": [1 << 62], "t": pa.array([time], kind)})) is beyond
    assert not beyond_years(pa.table({"t": pa.array([1 << 62, 1], kind)}).slice(1))


def test_known() -> None:
    assert known(np.array([-1, 0, 5])) == [None, 0, 5]
    assert known(np.array([-1, 0, 5]), 1) == [None, None, 5]


def test_lengths_that_differ() -> None:
    with pytest.raises(ValueError, match=r"'a': 1, 'b': 2"):
        Frame({"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match="'keys': 2"):
        Frame({"a": [1]}, keys=[1, 2])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("string", pa.string()), ("int32", pa.int32()), ("uint64", pa.uint64()), ("bool", pa.bool_()),
        ("timestamp", pa.timestamp("us", "UTC")), ("list<int32>", pa.list_(pa.int32())),
        ("list<string>", pa.list_(pa.string())),
    ],
)  # fmt: skip
def test_types(name: str, kind: pa.DataType) -> None:
    assert arrow_type(name) == kind


def test_schema_gives_order_type_and_meaning() -> None:
    fields: list[pa.Field[Any]] = [
        pa.field("t", pa.timestamp("us", "UTC"), metadata={"doc": "when"}),
        pa.field("n", pa.int32()),
        pa.field("s", pa.string()),
    ]
    schema = pa.schema(fields)
    text = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array(["x"]))
    table = Frame({"n": np.array([1, 2]), "s": text, "t": [1_500_000, None]}).to_arrow(schema)
    assert table.schema.equals(schema, check_metadata=True)
    kept = Frame(table)
    assert kept.to_arrow().schema.equals(schema, check_metadata=True)
    when = datetime.datetime(1970, 1, 1, 0, 0, 1, 500_000, datetime.UTC)
    assert kept.rows() == [{"t": when, "n": 1, "s": "x"}, {"t": None, "n": 2, "s": "x"}]
    with pytest.raises(pa.ArrowInvalid):
        Frame({"n": np.array([1 << 40]), "s": ["x"], "t": [0]}).to_arrow(schema)


@given(st.lists(st.one_of(st.none(), st.text(), st.just("a\ud800b")), min_size=1))
def test_any_text_becomes_utf_8(values: list[str | None]) -> None:
    column = Frame({"s": values}).to_arrow(pa.schema([pa.field("s", pa.string())])).column("s").to_pylist()
    assert column == [value and value.encode("utf-8", "backslashreplace").decode() for value in values]


def test_text_in_lists_too() -> None:
    kind = pa.schema([pa.field("s", pa.list_(pa.string()))])
    assert Frame({"s": [["\udc80", "é"], None]}).to_arrow(kind).column("s").to_pylist() == [["\\udc80", "é"], None]


def test_rows_of_someone_else() -> None:
    when = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    frame = plain([{"a": 1, "b": "x", "t": when}, {"a": "text", "c": 1 << 70}, {"c": None}])
    assert frame.names == ["a", "b", "t", "c"]
    assert [row["a"] for row in frame] == ["1", "text", None]
    assert [row["c"] for row in frame] == [None, str(1 << 70), None]
    assert frame.rows()[0]["t"] == when
    assert frame["t"].type == pa.timestamp("us", "UTC")
    assert len(plain([])) == 0


def test_parquet(tmp_path: Path) -> None:
    rows: dict[str, Any] = {"s": ["x", "y"] * 500, "l": [["p", "q"]] * 1000, "n": np.arange(1000), "i": [[1]] * 1000}
    write_parquet(Frame(rows), tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").to_pydict() == {**rows, "n": list(range(1000))}
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
    group = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0)
    columns = [group.column(at) for at in range(group.num_columns)]
    assert {one.compression for one in columns} == {"ZSTD"}
    encoded = {one.path_in_schema for one in columns if one.has_dictionary_page}
    assert encoded == {"s", "l.list.element"}
    with pytest.raises(CaseError, match=r"no/t\.parquet: cannot be written: .*No such file"):
        write_parquet(Frame(rows), tmp_path / "no" / "t.parquet")


def test_times_need_no_pandas(tmp_path: Path) -> None:
    kind = pa.schema([pa.field("t", arrow_type("timestamp"))])
    write_parquet(Frame(Frame({"t": [1_700_000_000_123_456]}).to_arrow(kind)), tmp_path / "t.parquet")
    (tmp_path / "pandas.py").write_text("raise ModuleNotFoundError('pandas')")
    code = "import sys, pyarrow.parquet as pq; print(pq.read_table(sys.argv[1]).to_pylist()[0]['t'].isoformat())"
    command = [sys.executable, "-c", code, str(tmp_path / "t.parquet")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (ran.stdout, ran.stderr) == ("2023-11-14T22:13:20.123456+00:00\n", "")
