# SPDX-License-Identifier: Apache-2.0
"""SQL over a case: what is read, what is shut, what is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from memir.case.case import Case
from memir.case.query import Answer, ask, datasets, query
from memir.case.store import table_path, write_table
from memir.errors import CaseError, UsageError
from tests.case.test_case import ANALYSIS, ONE, processes
from tests.images import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Case.create(tmp_path / "case").add_tables({"processes": processes(1, 2)}, ANALYSIS, ONE)
    return tmp_path / "case"


def test_columns_of_one_name_are_told_apart(folder: Path) -> None:
    answer = query(folder, "select pid, pid, pid as pid_1, pid + 1 as n from processes order by 1")
    assert answer == Answer(("pid", "pid_2", "pid_1", "n"), [(1, 1, 1, 2), (2, 2, 2, 3)])
    assert answer.dicts()[0] == {"pid": 1, "pid_2": 1, "pid_1": 1, "n": 2}


def test_datasets_leave_clear_values_out(folder: Path) -> None:
    """What is attached: each table by its name, the clear values only where that was asked for."""
    write_table(pa.table({"fingerprint": ["x"], "value": ["y"]}), table_path(folder, "secret_values"))
    assert list(datasets(folder, reveal=False)) == ["processes", "gaps"]
    assert sorted(datasets(folder, reveal=True)) == ["gaps", "processes", "secret_values"]
    assert datasets(folder, reveal=False)["processes"].to_table()["pid"].to_pylist() == [1, 2]


def test_statements_without_an_answer(folder: Path) -> None:
    for sql in ("", " ", ";", " ;\n; "):
        with pytest.raises(
            UsageError, match=r"SQL: nothing is asked. The case has the tables processes, gaps; it could have"
        ):
            query(folder, sql)
    for sql in ("-- nothing", "/* */"):
        assert query(folder, sql).rows == []


def test_a_table_that_is_not_there(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        query(folder, "select * from hits")
    assert "The case has the tables processes, gaps; it could have hits (memir hunt IMAGE -o CASE)" in str(caught.value)
    with pytest.raises(UsageError, match="SQL: Parser Error"):
        query(folder, "selec 1")
    with pytest.raises(UsageError, match=r"the columns: `memir query CASE --schema processes`$"):
        query(folder, "select no_such_column from processes")
    assert ask({}, "select 1 as one") == Answer(("one",), [(1,)])


def test_one_question_at_a_time(folder: Path) -> None:
    with pytest.raises(UsageError, match="2 statements: ask one at a time"):
        query(folder, "select 1; select pid from processes")
    with pytest.raises(UsageError, match="DROP is no question: tables are only read here"):
        query(folder, "drop table processes")
    assert query(folder, "select count(*) from processes;").rows == [(2,)]


def test_secret_values_are_attached_when_asked_for(folder: Path) -> None:
    write_table(pa.table({"fingerprint": ["f"], "value": ["v"]}), table_path(folder, "secret_values"))
    with pytest.raises(UsageError, match=r"secret_values \(--reveal attaches it\)"):
        query(folder, "select * from secret_values")
    assert query(folder, "select value from secret_values", reveal=True).rows == [("v",)]
    assert "secret_values" not in Case(folder).tables


def test_the_disk_is_shut(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\nhidden\n")
    for sql in (
        f"select * from '{tmp_path / 'secret.csv'}'",
        f"select * from read_parquet('{table_path(folder, 'processes')}')",
        f"copy (select 1) to '{tmp_path / 'out.csv'}'",
        "set enable_external_access = true",
        "install httpfs",
        "select * from glob('/*')",
    ):
        with pytest.raises(UsageError):
            query(folder, sql)
    assert not (tmp_path / "out.csv").exists()


def test_damage(folder: Path) -> None:
    path = table_path(folder, "processes")
    content = bytearray(path.read_bytes())
    content[4:30] = b"\xff" * 26
    path.write_bytes(content)
    with pytest.raises((CaseError, UsageError), match=r"damaged|SQL"):
        query(folder, "select sum(pid) from processes")
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(CaseError, match=r"processes.parquet: cannot be read"):
        query(folder, "select 1")


COUNT = """
import sys
from pathlib import Path
from memir.case.query import query
query(Path(sys.argv[1]), "select max(a) from wide where false")  # what loading the libraries reads is not counted
read = lambda: int(next(x for x in open("/proc/self/io") if x.startswith("rchar")).split()[1])
before = read()
query(Path(sys.argv[1]), sys.argv[2])
print(read() - before)
"""


def test_only_the_columns_asked_for_are_read(folder: Path) -> None:
    random = np.random.default_rng(1)
    wide = pa.table({name: random.integers(0, 1 << 62, 200_000) for name in "abcdefgh"})  # 1.6 MB a column, packed too
    path = table_path(folder, "wide")
    write_table(wide, path)
    size = path.stat().st_size
    for sql, low, high in (("select sum(a) from wide", 0.1, 0.2), ("select sum(a + b) from wide", 0.2, 0.32)):
        command = [sys.executable, "-c", COUNT, str(folder), sql]
        out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
        assert low < int(out) / size < high, sql
