# SPDX-License-Identifier: Apache-2.0
"""SQL over Arrow tables that can reach nothing else."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from memir.errors import UsageError
from memir.tables.sql import ask, check_question, connected, interruptible, named, unique

KNOWN = ("pods", "processes", "namespaces")
TABLES = {"pods": pa.table({"pod_uid": ["u"], "pods": [7]}), "processes": pa.table({"pid": [1, 2], "uid": [0, None]})}


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select pods from namespaces", ["namespaces"]),
        ("with x as (select * from Pods) select * from x join processes on true", ["pods", "processes"]),
        ('select * from main."pods" where pid in (select pid from processes)', ["pods", "processes"]),
        ("describe pods", ["pods"]),
        ("select 'pods'", []),
        ("select 1; select * from pods", ["pods"]),
    ],
)
def test_named(sql: str, names: list[str]) -> None:
    assert sorted(named(sql, KNOWN)) == sorted(names)


@pytest.mark.parametrize("sql", ["", " ; ", "selec 1"])
def test_nothing_that_can_be_asked(sql: str) -> None:
    with pytest.raises(UsageError, match=r"^SQL: "):
        named(sql, KNOWN)


def test_ask() -> None:
    answer = ask(TABLES, "select a.pid, b.pid, a.uid from processes a join processes b using (pid) order by all")
    assert answer.column_names == ["pid", "pid_1", "uid"]
    assert answer.to_pylist() == [{"pid": 1, "pid_1": 1, "uid": 0}, {"pid": 2, "pid_1": 2, "uid": None}]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select 1; select 2", "2 statements: ask one at a time"),
        ("create view v as select 1; select * from v", "2 statements: ask one at a time"),
        ("drop table pods", "DROP is no question: tables are only read here"),
        ("create table x as select 1", "CREATE is no question"),
        ("insert into pods values (1)", "INSERT is no question"),
        ("delete from pods", "DELETE is no question"),
        ("update pods set pod_name = 1", "UPDATE is no question"),
        ("set threads = 1", "SET is no question"),
    ],
)
def test_a_question_is_one_and_changes_nothing(sql: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"^SQL: {words}"):
        check_question(sql)
    with pytest.raises(UsageError, match=f"^SQL: {words}"):
        ask(TABLES, sql)


@pytest.mark.parametrize(
    "sql",
    ["select 1;", "select 1; -- end", "describe pods", "summarize processes", "show tables", "explain select 1",
     "values (1)", "with a as (select 1) from a", "from pods"],
)  # fmt: skip
def test_questions(sql: str) -> None:
    assert ask(TABLES, sql).num_rows > 0


def test_what_is_wrong_is_said_with_the_tables_there_are() -> None:
    with pytest.raises(UsageError, match=r"The tables are pods, processes, namespaces\.$"):
        ask(TABLES, "select * from nothing", KNOWN)
    with pytest.raises(UsageError, match="SQL: Binder Error"):
        ask(TABLES, "select no_column from pods", KNOWN)


def test_nothing_else_can_be_reached(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for sql in (
        f"select * from '{tmp_path}/secret.csv'",
        f"select * from read_text('{tmp_path}/secret.csv')",
        f"copy (select 1) to '{tmp_path}/out.csv'",
        f"attach '{tmp_path}/other.db'",
        "set enable_external_access = true",
    ):
        with pytest.raises(UsageError):
            ask(TABLES, sql)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_names_of_columns_are_made_unique() -> None:
    assert unique(["a", "a", "b", "a_1", "a"]) == ["a", "a_2", "b", "a_1", "a_3"]
    assert unique([]) == []


def test_a_connection_reaches_its_tables_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    with connected(TABLES) as connection:
        assert connection.sql("select pid from processes order by pid").fetchall() == [(1,), (2,)]
        assert connection.sql("select current_setting('TimeZone')").fetchall() == [("UTC",)]
        for sql in (f"select * from '{tmp_path}/a.csv'", "set enable_external_access = true"):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("select 1")


def test_what_a_connection_registers_it_alone_sees() -> None:
    with connected({"t": pa.table({"a": [1]})}) as one, connected({"t": pa.table({"a": [2]})}) as other:
        one.execute("create temp table mine as select a + 10 as a from t")
        assert [each.sql("select a from t").fetchall() for each in (one, other)] == [[(1,)], [(2,)]]
        assert one.sql("select a from mine").fetchall() == [(11,)]
        for name in ("mine", "processes"):
            with pytest.raises(duckdb.CatalogException):
                other.sql(f"select * from {name}")
    with connected({}) as later, pytest.raises(duckdb.CatalogException):
        later.sql("select * from t")


def test_a_table_is_let_go_with_its_connection() -> None:
    table = pa.table({"a": [1]})
    gone = weakref.ref(table)
    with connected({"t": table}) as connection:
        assert connection.sql("select a from t").fetchall() == [(1,)]
    del table
    gc.collect()
    assert gone() is None


_FORKED = """
import os, sys
from memir.tables.sql import ask

print(ask({}, "select 1 a").to_pylist(), flush=True)
if child := os.fork():
    print(os.waitpid(child, 0)[1])
else:
    print(ask({}, "select 2 a").to_pylist(), flush=True)
    sys.exit(3)
"""


def test_a_process_that_forks() -> None:
    ran = subprocess.run([sys.executable, "-c", _FORKED], check=False, capture_output=True, text=True, timeout=300)
    assert (ran.stdout, ran.stderr) == ("[{'a': 1}]\n[{'a': 2}]\n768\n", "")


def test_ctrl_c_ends_a_query_at_once() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts behind it ignores Ctrl-C
    try:
        _interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted() -> None:
    endless = "select sum(sqrt(a.range * b.range)) from range(10000000) a, range(1000000) b"
    with duckdb.connect(":memory:") as connection:
        timer = threading.Timer(0.3, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            interruptible(connection, lambda: connection.sql(endless).fetchall())
        timer.join()
        assert interruptible(connection, lambda: connection.sql("select 7").fetchall()) == [(7,)]
        with pytest.raises(duckdb.BinderException):
            interruptible(connection, lambda: connection.sql("select nothing").fetchall())
