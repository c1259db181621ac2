# SPDX-License-Identifier: Apache-2.0
"""What a table is, and the registry of all of them.

A table's file declares its columns and one reader per kind of source that can give it; the registry finds it by its
name `TABLE`, appends whose each row is, and hands it to the case, SQL, the documentation, golden tables and the
volatility3 plugin that it names. Adding a table touches its file and its test:

    def read(source: RamSource) -> Frame:
        return Frame({"tid": threads.pid, "source": ["task_struct"] * len(threads)}, keys=threads.task)

    TABLE = Table("threads", "Every thread of the node.", columns("tid int32 thread id ..."), "task", {"ram": read})

pyarrow is imported when the first frame is made: declaring a table costs nothing at start-up.
"""

from __future__ import annotations

import datetime
import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np

from memir.gaps import Gaps
from memir.tables.frame import Frame, beyond_years, in_range

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.kube.owner_batch import OwnerBatch

ColumnType = Literal[
    "string", "int32", "int64", "uint32", "uint64", "float64", "bool", "timestamp", "list<int32>", "list<string>",
    "list<proof>",
]  # fmt: skip
OwnerKey = Literal[
    "task", "pid", "cgroup", "namespace", "superblock", "sock", "inode", "page", "address", "container_id", "pod_uid",
    "pod_ip", "row",
]  # fmt: skip
"""By what a table's rows are owned: a question that Owners answers, or `row`: each row names its own one owner."""
TYPES: tuple[str, ...] = get_args(ColumnType)
_GIVEN = frozenset({"logs", "pod", "checkpoint"})
"""Sources that are given or not there: that a table of theirs alone cannot be read from RAM says nothing."""
FOLDERS = ("memir.tables", "memir.logs", "memir.hunt", "memir.findings")
"""Packages whose modules may hold a `TABLE`."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its name, its type in Arrow's words, and what it means.

    `timestamp` is timestamp[us, UTC]: int64 microseconds since 1970; `proof` a struct of `table` and `key`,
    which name a row of another table.
    """

    name: str
    type: ColumnType
    doc: str


class Whose(Protocol):
    """Tells whose rows are: memir.kube.owner.Owners, or the one owner of all."""

    def by(self, what: str, keys: Any) -> OwnerBatch:
        """The owners of things; what: of OwnerKey."""


class Source(Protocol):
    """What tables are read from: a node's RAM, a collected pod, a container's checkpoint, later a disk."""

    @property
    def kind(self) -> str:
        """Which of a table's readers understands it: "ram", "pod", "checkpoint"."""

    @property
    def owners(self) -> Whose:
        """Whose its rows are."""

    @property
    def gaps(self) -> Gaps:
        """What of it could not be read."""


def columns(spec: str) -> tuple[Column, ...]:
    """Columns from lines of `name type meaning`; ValueError for a type that there is not."""
    out = []
    for line in spec.strip().splitlines():
        name, kind, doc = line.split(None, 2)
        if kind not in TYPES:
            raise ValueError(f"column {name}: no type {kind}; there are {', '.join(TYPES)}")
        out.append(Column(name, kind, doc))  # type: ignore[arg-type]  # it was just compared with them
    return tuple(out)


def frame_of(
    own: tuple[Column, ...], gaps: Gaps, rows: list[dict[str, Any]], keys: Sequence[Any] | None = None
) -> Frame:
    """A reader's frame of rows that were made one by one of what someone else wrote; a column that they lack is null.

    So is a value that is none of its column's type, and that is counted: a hostile node may write what it likes. keys:
    what the owner of each row is asked by, None for the rows' numbers: a source of which all rows have one owner.
    """
    data: dict[str, list[Any]] = {}
    for column in own:
        values = [row.get(column.name) for row in rows]
        odd = [number for number, value in enumerate(values) if value is not None and not _fits(value, column.type)]
        for number in odd:
            values[number] = None
        gaps.add("value", column.name, f"is no {column.type}", len(odd))
        data[column.name] = values
    return Frame(data, keys=range(len(rows)) if keys is None else keys)


def _fits(value: Any, kind: str) -> bool:
    """Whether a value can be one of a column's type."""
    if kind.startswith("list<"):
        return isinstance(value, list | tuple) and all(_fits(part, kind[5:-1]) for part in value)
    if kind in _BOUNDS:
        low, high = _BOUNDS[kind]
        return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(low <= value < high)
    return isinstance(value, _PYTHON.get(kind, object)) and (kind == "bool" or not isinstance(value, bool))


_BOUNDS = {
    f"{sign}int{bits}": (0, 1 << bits) if sign else (-(1 << bits - 1), 1 << bits - 1)
    for sign in ("", "u") for bits in (32, 64)
}  # fmt: skip
_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,), "bool": (bool, np.bool_), "float64": (int, float), "timestamp": (int, datetime.datetime),
}  # fmt: skip


_OWNER = columns("""
    container_id     string       container that owns the row: 64 hex digits; null if several do, or none
    container_name   string       name of that container in its pod's spec
    pod_uid          string       pod that owns the row: UID with dashes, or 32 hex digits for a static pod
    pod_name         string       name of that pod
    namespace        string       Kubernetes namespace of that pod
    shared_by        list<string> UIDs of the pods that own the row together (with the node, if only one is listed)
""")
OWNER_COLUMNS = tuple(column.name for column in _OWNER)


@dataclass(frozen=True)
class Table:
    """A table: what it holds, by what its rows are owned, and how each kind of source gives it.

    readers: by kind of source; empty for a table that a verb makes (hits). A reader gives a Frame of the declared
    columns; its keys (or, where it has none, the column named as `owner`) are what Owners is asked by.
    volatility: name of the volatility3 plugin that shows it. on_request: read only where it is named (`--tables`, SQL,
    node["NAME"]), as it costs more than an analysis should.
    """

    name: str
    doc: str
    own: tuple[Column, ...]
    owner: OwnerKey | None
    readers: Mapping[str, Callable[[Any], Frame]] = field(default_factory=dict)
    volatility: str | None = None
    on_request: bool = False

    @functools.cached_property
    def columns(self) -> tuple[Column, ...]:
        """Its own columns and those of its owner; `source` stays the last."""
        have = {column.name for column in self.own}
        more = () if self.owner is None else _OWNER[: -1 if self.owner == "row" else None]
        every = (*self.own, *(column for column in more if column.name not in have))
        return tuple(sorted(every, key=lambda column: column.name == "source"))

    def read(self, source: Source) -> Frame:
        """The table of a source, typed, with its owner's columns. KeyError for a kind of source without a reader."""
        frame = self.readers[source.kind](source)
        if self.owner in (None, "row"):
            return self.typed(frame, source.gaps)
        keys = frame[str(self.owner)] if frame.keys is None else frame.keys
        owned = source.owners.by(str(self.owner), keys).columns()
        have = set(frame.names)
        more = {name: owned[name] for name in OWNER_COLUMNS if name not in have}
        return self.typed(Frame({**frame.data, **more}), source.gaps)

    def typed(self, frame: Frame, gaps: Gaps | None = None) -> Frame:
        """The frame's columns in order, as Arrow arrays of the declared types.

        gaps: of a source whose structs may hold anything: a number that its column cannot hold, and a time outside
        of the years 1 to 9999, is null there and counted. ValueError for a column that is missing or unknown, or whose
        values are not of its type: the reader's fault.
        """
        import pyarrow as pa

        wanted, have = [column.name for column in self.columns], set(frame.names)
        if set(wanted) != have:
            odd = ", ".join(sorted(set(wanted) ^ have))
            raise ValueError(f"table {self.name}: columns that are missing, or that it has not: {odd}")
        schema = self.schema()
        try:
            table = frame.to_arrow(schema)
            if gaps is None or not beyond_years(table):
                return Frame(table)
        except (pa.ArrowInvalid, OverflowError):
            if gaps is None:
                raise
        data = {}
        for column in schema:
            data[column.name], lost = in_range(frame[column.name], column.type)
            gaps.add(self.name, column.name, "a number that no such thing has", lost)
        return Frame(Frame(data).to_arrow(schema))

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> Frame:
        """A frame of rows that were made one by one; a column that they lack is null."""
        rows = list(rows)
        extra = {name for row in rows for name in row} - {column.name for column in self.columns}
        if extra:
            raise ValueError(f"table {self.name} has no column {', '.join(sorted(extra))}")
        return self.typed(Frame({column.name: [row.get(column.name) for row in rows] for column in self.columns}))

    def schema(self) -> pa.Schema:
        """Its Arrow schema; each column's meaning is in the field's metadata, as `doc`."""
        import pyarrow as pa

        from memir.tables.frame import arrow_type

        return pa.schema(
            [pa.field(column.name, arrow_type(column.type), metadata={"doc": column.doc}) for column in self.columns]
        )


@functools.cache
def tables() -> dict[str, Table]:
    """Every table by name, in the order of their names; ValueError if two have one name.

    Only modules whose text begins a line with `TABLE` are imported: the others may be slow to import (yara).
    """
    known: dict[str, Table] = {}
    for folder in FOLDERS:
        for info in pkgutil.iter_modules(importlib.import_module(folder).__path__, folder + "."):
            spec = importlib.util.find_spec(info.name)
            text = getattr(spec.loader, "get_source", lambda _: None)(info.name) if spec is not None else None
            if text is None or "\nTABLE" not in text:
                continue
            module = importlib.import_module(info.name)
            table = module.TABLE
            if table.name in known:
                raise ValueError(f"two tables are named {table.name}")
            known[table.name] = table
    return dict(sorted(known.items()))


def read_tables(source: Source, names: Iterable[str] | None = None) -> dict[str, Frame]:
    """Tables of a source, all that have a reader or those named.

    One that this kind of source cannot give is left out and counted as a gap: absent, never empty.
    """
    chosen = tables() if names is None else {name: tables()[name] for name in names}
    frames = {}
    for name, table in chosen.items():
        if source.kind in table.readers:
            frames[name] = table.read(source)
        elif table.readers and (names is not None or not set(table.readers) <= _GIVEN):
            source.gaps.add("table", name, f"cannot be read from {source.kind}")
    return frames
