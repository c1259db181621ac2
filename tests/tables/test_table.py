# SPDX-License-Identifier: Apache-2.0
"""What a table's file declares is what the registry makes of it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from memir.gaps import Gap, Gaps
from memir.kube.owner import NODE, Owner, OwnerBatch
from memir.tables import table as registry
from memir.tables.frame import Frame
from memir.tables.table import OWNER_COLUMNS, Table, columns, read_tables, tables
from tests.images import ROOT

A, B = (Owner(letter * 64, letter, f"uid-{letter}", f"pod-{letter}", "shop") for letter in "ab")
OWNED = [(A,), (A, B), (NODE,), (), (A, NODE), (Owner("c" * 64),)]
SPEC = columns("""
    n       int32   a number
    source  string  where it comes from
""")


def source(kind: str = "ram", asked: list[Any] | None = None) -> Any:
    """A source whose owners are OWNED, whatever they are asked by."""

    def by(what: str, keys: Sequence[Any]) -> OwnerBatch:
        if asked is not None:
            asked.append((what, list(keys)))
        return OwnerBatch.of_lists(OWNED[: len(keys)])

    return SimpleNamespace(kind=kind, owners=SimpleNamespace(by=by), gaps=Gaps())


def test_columns_from_text() -> None:
    assert [(one.name, one.type, one.doc) for one in SPEC] == [
        ("n", "int32", "a number"),
        ("source", "string", "where it comes from"),
    ]
    with pytest.raises(ValueError, match="column n: no type int33; there are string, int32"):
        columns("n int33 a number")


def test_owner_columns_are_appended_before_the_source() -> None:
    asked: list[Any] = []
    made = Table(
        "t", "A table.", SPEC, "task", {"ram": lambda _: Frame({"n": range(6), "source": ["x"] * 6}, range(6))}
    )
    assert [one.name for one in made.columns] == ["n", *OWNER_COLUMNS, "source"]
    frame = made.read(source(asked=asked))
    assert asked == [("task", [0, 1, 2, 3, 4, 5])]
    assert frame["pod_uid"].to_pylist() == ["uid-a", None, None, None, None, None]
    assert frame["container_id"].to_pylist() == ["a" * 64, None, None, None, None, "c" * 64]
    assert frame["shared_by"].to_pylist() == [None, ["uid-a", "uid-b"], None, None, ["uid-a"], None]
    assert [field.name for field in made.schema()] == frame.names
    assert made.schema().field("n").metadata == {b"doc": b"a number"}
    assert frame.to_arrow().schema.equals(made.schema(), check_metadata=True)


def test_a_column_that_names_the_owner_is_the_key() -> None:
    spec = columns("pod_uid string the pod\nsource string where")
    asked: list[Any] = []
    made = Table("t", "A table.", spec, "pod_uid", {"ram": lambda _: Frame({"pod_uid": ["mine"], "source": ["x"]})})
    frame = made.read(source(asked=asked))
    assert asked == [("pod_uid", ["mine"])]
    assert frame.rows() == [
        {"pod_uid": "mine", "container_id": "a" * 64, "container_name": "a", "pod_name": "pod-a", "namespace": "shop",
         "shared_by": None, "source": "x"}
    ]  # fmt: skip


def test_what_is_not_as_declared_is_refused() -> None:
    for data in ({"n": [1]}, {"n": [1], "source": ["x"], "odd": [1]}):
        with pytest.raises(ValueError, match=r"table t: columns that are missing, or that it has not: (odd|source)"):
            Table("t", "A table.", SPEC, None).typed(Frame(data))
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        Table("t", "A table.", SPEC, None).typed(Frame({"n": ["word"], "source": ["x"]}))
    with pytest.raises(ValueError, match="table t has no column odd"):
        Table("t", "A table.", SPEC, None).rows([{"n": 1}, {"odd": 1}])


def test_what_no_column_can_hold_is_null_and_counted() -> None:
    """Numbers of structs that were torn, or written by somebody: one of them costs no other row."""
    spec = columns("n int32 a number\nt timestamp a time\nsource string where it comes from")
    made = Table("t", "A table.", spec, None, {"ram": lambda _: Frame({
        "n": [1, 1 << 31, None], "t": [0, 1 << 62, 5], "source": ["x", "y", "z"],
    })})  # fmt: skip
    given = source()
    rows = [(row["n"], row["t"] and row["t"].microsecond, row["source"]) for row in made.read(given)]
    assert rows == [(1, 0, "x"), (None, None, "y"), (None, 5, "z")]
    assert list(given.gaps) == [Gap("t", "n", "a number that no such thing has", 2)]
    with pytest.raises(pa.ArrowInvalid):
        made.typed(made.readers["ram"](given))


def test_rows_of_a_verb() -> None:
    made = Table("t", "A table.", SPEC, "row")
    assert [one.name for one in made.columns] == ["n", *OWNER_COLUMNS[:-1], "source"]
    frame = made.rows([{"n": 1, "pod_uid": "u"}, {"source": "x"}])
    assert [(row["n"], row["pod_uid"], row["source"]) for row in frame] == [(1, "u", None), (None, None, "x")]
    assert len(made.rows([])) == 0


def test_a_table_that_a_source_cannot_give_is_absent_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    of_disk = Table("inodes", "A table.", SPEC, None, {"disk": lambda _: Frame({"n": [1], "source": ["x"]})})
    by_verb = Table("hits", "A table.", SPEC, "row")
    monkeypatch.setattr(registry, "tables", lambda: {"inodes": of_disk, "hits": by_verb})
    ram, disk = source(), source("disk")
    assert read_tables(ram) == {}
    assert list(ram.gaps) == [Gap("table", "inodes", "cannot be read from ram", 1)]
    assert [frame.rows() for frame in read_tables(disk, ["inodes"]).values()] == [[{"n": 1, "source": "x"}]]
    assert list(disk.gaps) == []


def test_the_registry_finds_every_table_file() -> None:
    found = set()
    for folder in ("tables", "logs", "hunt", "findings"):
        for path in sorted((ROOT / "memir" / folder).glob("*.py")):
            if any(line.startswith("TABLE") for line in path.read_text().splitlines()):
                found.add(importlib.import_module(f"memir.{folder}.{path.stem}").TABLE.name)
    assert set(tables()) == found
    assert {"processes", "containers", "pods", "namespaces", "threads", "hits"} <= found
    assert list(tables()) == sorted(found)


def test_every_table_is_whole() -> None:
    for name, one in tables().items():
        names = [column.name for column in one.columns]
        assert len(names) == len(set(names)), name
        assert names[-1] == "source", name
        assert one.name == name and one.doc.endswith("."), name
        assert all(column.doc for column in one.columns), name
        if one.volatility:
            folder, _, plugin = one.volatility.partition(".")
            assert (ROOT / "plugins" / folder / f"{plugin}.py").is_file(), name


def test_frame_of_leaves_null_what_a_row_lacks() -> None:
    from memir.tables.table import columns, frame_of

    frame = frame_of(columns("a int32 number\nb string text"), Gaps(), [{"a": 1}, {"b": "x"}])
    assert (frame["a"], frame["b"], list(frame.keys)) == ([1, None], [None, "x"], [0, 1])
