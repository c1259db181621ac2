# SPDX-License-Identifier: Apache-2.0
"""Logs of a cluster and its account as a source of tables, joined with the tables of one node.

source = LogSource(["logs/"], ram)     # ram("pods") gives that table of the node as Arrow, None where there is none
source.tables                          # the tables that these files give
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.errors import LogsError
from memir.gaps import Gaps
from memir.kube.secrets import Secrets
from memir.logs.stream import LogPath, Renamed, log_files
from memir.tables.frame import Frame
from memir.tables.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.logs.format import Format

Ram = Callable[[str], "pa.Table | None"]
_RELATIONS = {
    "pods": ("pods", "select pod_uid, pod_name, namespace, service_account from t where pod_uid is not null"),
    "pods_by_name": (
        "pods",
        "select namespace, pod_name, any_value(pod_uid) as pod_uid from t where pod_uid is not null "
        "group by namespace, pod_name having count(*) = 1",
    ),
    "containers": (
        "containers",
        "select container_id, container_name, pod_uid, pod_name, namespace from t where container_id is not null",
    ),
    "containers_by_name": (
        "containers",
        "select pod_uid, container_name, any_value(container_id) as container_id from t "
        "where pod_uid is not null and container_name is not null group by pod_uid, container_name having count(*) = 1",
    ),
    "addresses": (
        "pod_ips",
        "select address, any_value(pod_uid) as pod_uid, any_value(pod_name) as pod_name, "
        "any_value(namespace) as namespace from t where pod_uid is not null "
        "group by address having count(distinct pod_uid) = 1",
    ),
}
"""What rows are given their owner by: a table of the node, and the rows of it that name one thing."""
_LAST = 253_402_300_800_000_000  # microseconds: the year 10000, which no datetime has
_EMPTY = {
    "pods": ("pod_uid", "pod_name", "namespace", "service_account"),
    "containers": ("container_id", "container_name", "pod_uid", "pod_name", "namespace"),
    "pod_ips": ("address", "pod_uid", "pod_name", "namespace"),
}


class LogSource:
    """Files of logs. They are read once, when the first table is asked for.

    gaps: what of them could not be read. kind: which readers of tables understand it.
    """

    kind = "logs"

    def __init__(
        self, paths: Sequence[LogPath], ram: Ram | None = None, *, secrets: Callable[[], Secrets] = Secrets,
        gaps: Gaps | None = None, progress: Callable[[str, int, int], None] | None = None,
        clock: Callable[[], int | None] | None = None,
    ) -> None:  # fmt: skip
        """paths: files and folders; LogsError, before long work, if one is not there. ram: the node's tables.

        secrets: gives what masks them. gaps: where to count. clock: gives the image's own clock, nanoseconds since 1970
        UTC.
        """
        self.files = log_files(paths)
        self._names = {each.path: each.name for each in paths if isinstance(each, Renamed)}
        self.gaps = gaps if gaps is not None else Gaps()
        self._ram: Ram = ram if ram is not None else lambda _: None
        self._secrets = secrets
        self._progress = progress
        self._clock = clock
        self._made: dict[str, pa.Table] = {}

    @property
    def owners(self) -> Any:
        """Not asked: rows of logs name their owner themselves."""
        raise NotImplementedError

    @functools.cached_property
    def clock(self) -> int | None:
        """When the memory was taken, by the image's own clock, nanoseconds since 1970 UTC; None: not known."""
        return self._clock() if self._clock is not None else None

    @functools.cached_property
    def _read(self) -> tuple[dict[str, list[pa.Table]], dict[str, str]]:
        """(rows by table, SHA-256 by file). LogsError if no line of any file is of a format that is known."""
        from memir.logs.reader import read_file
        from memir.tables.sql import connected

        rows: dict[str, list[pa.Table]] = {}
        hashes: dict[str, str] = {}
        with connected({}) as connection:
            for number, path in enumerate(self.files):
                if self._progress is not None:
                    self._progress("reading logs", number, len(self.files))
                read = read_file(path, _formats(), connection, self.gaps, self._name(path))
                hashes[read.name] = read.sha256
                for name, tables in read.tables.items():
                    rows.setdefault(name, []).extend(tables)
        if not rows:
            why = "; ".join(sorted({gap.why for gap in self.gaps if gap.kind == "log"})) or "nothing in it"
            named = self._name(self.files[0]) + (f" and {len(self.files) - 1} more" if len(self.files) > 1 else "")
            words = ", ".join(each.words for each in _formats())
            raise LogsError(f"{named}: no log that memir reads ({why}). It reads {words}")
        return rows, hashes

    def _name(self, path: Path) -> str:
        return self._names.get(path, str(path))

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file as it lies there, by its name."""
        return self._read[1]

    @functools.cached_property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that the files give; one that no file gives is absent, never empty."""
        from memir.logs.formats import derived

        have = set(self._read[0])
        return tuple(sorted([*have, *(name for name, needed in derived().items() if needed in have)]))

    def table(self, name: str) -> pa.Table:
        """A table as it goes into the case, read once. KeyError for one that these files do not give."""
        from memir.tables.table import tables

        if name not in self.tables:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = tables()[name].read(self).to_arrow()
        return self._made[name]

    def rows(self, name: str) -> pa.Table:
        """A table's rows as the files have them, in one Arrow table."""
        import pyarrow as pa

        return pa.concat_tables(self._read[0][name], promote_options="permissive")

    def ram(self, name: str) -> pa.Table | None:
        """A table of the node; None where it is not known."""
        return self._ram(name)

    def some(self, name: str) -> pa.Table:
        """A table of the node; one without rows where it is not known, so that SQL can ask it."""
        from memir.tables.table import tables

        known = self._ram(name)
        return known if known is not None else tables()[name].schema().empty_table()

    def relations(self) -> dict[str, pa.Table]:
        """What rows are joined with to find their owner: pods, pods_by_name, containers_by_name, addresses."""
        import pyarrow as pa

        from memir.tables.sql import connected

        out = {}
        for name, (table, sql) in _RELATIONS.items():
            known = self._ram(table)
            if known is None:
                known = pa.table({column: pa.array([], pa.string()) for column in _EMPTY[table]})
            with connected({"t": known}) as connection:
                out[name] = connection.sql(sql).to_arrow_table()
        return out

    def owned(
        self, table: Table, sql: str, masked: Iterable[str] = (), more: Mapping[str, pa.Table] | None = None
    ) -> Frame:
        """A table's frame: the rows of its logs, each with its owner.

        sql: over `log` (those rows and their `number`), the relations and `more`; gives `number`, and of rows that have
        some owner columns and other columns of the table. masked: columns of text, or of lists of it, that may hold
        secrets. Other columns are null.
        """
        import numpy as np
        import pyarrow as pa

        from memir.tables.sql import connected

        rows = self.rows(table.name)
        count = rows.num_rows
        numbered = rows.append_column("number", pa.array(np.arange(count, dtype=np.int64)))
        with connected({"log": numbered, **self.relations(), **(more or {})}) as connection:
            owners = connection.sql(sql).to_arrow_table()
        data = {
            column.name: rows[column.name] if column.name in rows.column_names else pa.nulls(count, column.type)
            for column in table.schema()
        }
        place = np.full(count, -1, np.int64)
        place[owners["number"].to_numpy()] = np.arange(owners.num_rows)
        indices = pa.array(place, mask=place < 0)
        for name in owners.column_names:
            if name in data and owners.num_rows:
                data[name] = owners[name].combine_chunks().take(indices)
        words = next(each.words for each in _formats() if each.table == table.name)
        data["source"] = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([words]))
        for name in masked:
            data[name] = self._masked(data[name])
        return Frame({column.name: _typed(data[column.name], column.type) for column in table.schema()})

    def _masked(self, column: Any) -> Any:
        """Each text that the column has is looked at once."""
        import pyarrow as pa
        import pyarrow.compute as pc

        secrets = self._secrets()
        every = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if isinstance(every, pa.ChunkedArray):
            every = every.chunk(0)
        if pa.types.is_list(every.type):
            known: dict[tuple[str, ...], list[str] | None] = {}
            values = every.to_pylist()
            for value in values:
                if value is not None and tuple(value) not in known:
                    known[tuple(value)] = secrets.args(value)[0]
            return pa.array([None if value is None else known[tuple(value)] for value in values], every.type)
        coded: Any = pc.dictionary_encode(every)
        words = pa.array(
            [None if text is None else secrets.text(text)[0] for text in coded.dictionary.to_pylist()], pa.string()
        )
        return words.take(coded.indices)


def _typed(values: Any, kind: pa.DataType) -> Any:
    """The column in the table's type; times of the logs are UTC, and one that no calendar has is not known."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_timestamp(kind):
        return values
    ticks = values.cast(pa.timestamp("us")).cast(pa.int64())
    fine = pc.and_kleene(pc.greater(ticks, pa.scalar(0)), pc.less(ticks, pa.scalar(_LAST)))
    return pc.if_else(fine, ticks, pa.scalar(None, pa.int64())).cast(kind)


def _formats() -> tuple[Format, ...]:
    from memir.logs.formats import formats

    return formats()
