# SPDX-License-Identifier: Apache-2.0
"""A kind of event as SQL."""

from __future__ import annotations

import pyarrow as pa

from memir.case.event import COLUMNS, Event, quoted, same
from memir.case.query import ask

OWNER = {"namespace": ["n"], "pod_name": ["p"], "container_name": ["c"], "pod_uid": ["u"]}


def test_select() -> None:
    event = Event("x", "t", "end", "word", same("word"), "Event Time", "word <> 'skip'")
    tables = {"t": pa.table({"end": [7], "word": ["it's"], **OWNER})}
    answer = ask(tables, event.select())
    assert answer.columns == (*COLUMNS, "pod_uid", "sequence_")
    assert [row[:-1] for row in answer.rows] == [(7, "x", "it's", "n", "p", "c", "t", "word = 'it''s'", "u")]


def test_same() -> None:
    tables = {"t": pa.table({"word": pa.array(["a' or 'b'='b", None])})}
    keys = [row[0] for row in ask(tables, f"select {same('word')} from t").rows]
    assert keys == ["word = 'a'' or ''b''=''b'", "word is null"]
    assert [ask(tables, f"select count(*) from t where {key}").rows for key in keys] == [[(1,)], [(1,)]]


def test_quoted() -> None:
    assert (quoted("end"), quoted("time")) == ('"end"', "time")
