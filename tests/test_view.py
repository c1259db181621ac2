# SPDX-License-Identifier: Apache-2.0
"""Rows that show themselves."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from memir.errors import UsageError
from memir.view import View

NAMES = ["web\x1b[31m", "<b>miner</b>", None]
TABLE = pa.table(
    {
        "name": NAMES,
        "pid": pa.array([1, 2, 3], pa.int32()),
        "pids": [[1, 10], [2], None],
        "start": pa.array([datetime(2026, 1, 2, 3, 4, 5, 600, UTC)] * 3, pa.timestamp("us", "UTC")),
    }
)


def view() -> View:
    return View("pods", TABLE)


def test_it_is_its_rows() -> None:
    rows = list(view())
    assert (len(view()), view().columns) == (3, ["name", "pid", "pids", "start"])
    assert [row["pid"] for row in rows] == view()["pid"] == [1, 2, 3]
    assert rows[0]["start"] == datetime(2026, 1, 2, 3, 4, 5, 600, UTC)


@pytest.mark.parametrize(
    ("values", "pids"),
    [
        ({"pid": 2}, [2]),
        ({"pid": [1, 3]}, [1, 3]),
        ({"name": None}, [3]),
        ({"pids": 10}, [1]),
        ({"pids": [2, 10]}, [1, 2]),
        ({"pid": 2, "name": "web"}, []),
        ({}, [1, 2, 3]),
    ],
)
def test_where(values: dict[str, object], pids: list[int]) -> None:
    assert view().where(**values)["pid"] == pids


def test_where_names_the_columns_there_are() -> None:
    with pytest.raises(UsageError, match="pods has no column pod; it has name, pid, pids, start"):
        view().where(pod="x")


def test_repr_is_safe_and_whole() -> None:
    shown = repr(view())
    assert shown.startswith("pods: 3 rows\n")
    assert "\x1b" not in shown
    assert "web\\e[31m" in shown
    many = View("n", pa.table({"n": list(range(100))}))
    assert repr(many).startswith("n: 100 rows, the first 20 of them\n")
    assert repr(many).endswith("\n19")


def test_html_is_safe() -> None:
    page = view()._repr_html_()
    assert page.startswith("<p>pods: 3 rows</p><table>")
    assert "<td>&lt;b&gt;miner&lt;/b&gt;</td>" in page
    assert "<td>web\\e[31m</td>" in page
    assert "<td>2026-01-02 03:04:05.000600</td>" in page
    assert "\x1b" not in page
    assert "<b>" not in page


def test_other_frames() -> None:
    assert view().to_arrow() is TABLE
    pandas, polars = view().to_pandas(), view().to_polars()
    assert (list(pandas["pid"]), pandas.shape) == ([1, 2, 3], (3, 4))
    assert (polars["pid"].to_list(), polars.shape) == ([1, 2, 3], (3, 4))
    assert polars["pids"].to_list() == [[1, 10], [2], None]
