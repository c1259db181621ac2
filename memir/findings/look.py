# SPDX-License-Identifier: Apache-2.0
"""What detections look at: tables by name, as rows or in SQL, and what is known of the image as a whole."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from memir.gaps import Gap

Row = dict[str, Any]


@dataclass(frozen=True)
class ImageFacts:
    """gaps: what could not be read. node: its name. clock: the image's own. span: seconds over which it was read.

    smear: the same in words; None and "" are not known.
    """

    gaps: tuple[Gap, ...] = ()
    node: str | None = None
    clock: datetime | None = None
    span: float | None = None
    smear: str = ""


class Look:
    """Tables of one node. Small ones (processes, containers, pods) come as rows; the others are asked in SQL."""

    def __init__(
        self, tables: Mapping[str, pa.Table], connection: duckdb.DuckDBPyConnection, facts: ImageFacts
    ) -> None:
        """connection: has the tables by their names."""
        self.tables = tables
        self.facts = facts
        self._connection = connection
        self._rows: dict[str, list[Row]] = {}

    def has(self, name: str) -> bool:
        """Whether a table is there."""
        return name in self.tables

    def rows(self, name: str) -> list[Row]:
        """Every row of a table; none of one that is not there."""
        if name not in self._rows:
            self._rows[name] = self.tables[name].to_pylist() if name in self.tables else []
        return self._rows[name]

    def ask(self, sql: str) -> list[Row]:
        """Rows that SQL gives. The SQL is the detection's own: nothing of the image may stand in it."""
        rows: list[Row] = self._connection.sql(sql).to_arrow_table().to_pylist()
        return rows

    @functools.cached_property
    def by_pid(self) -> dict[int, Row]:
        """Processes by pid."""
        return {row["pid"]: row for row in self.rows("processes")}

    @functools.cached_property
    def by_container(self) -> dict[str, Row]:
        """Containers by id."""
        return {row["container_id"]: row for row in self.rows("containers")}

    @functools.cached_property
    def api(self) -> bool:
        """Whether the Kubernetes API's view of this node was given, and fits it."""
        return any(row["seen_in"] != "ram" for name in ("containers", "pods") for row in self.rows(name))

    def process(self, pid: int | None) -> Row:
        """The process's row; an empty one where there is none."""
        return self.by_pid.get(pid, {}) if pid is not None else {}

    def with_init(self, container: Row) -> Row:
        """A container's row with pid and start of its first process."""
        start = self.process(container["init_pid"]).get("start_time")
        return {**container, "pid": container["init_pid"], "start_time": start}


def where(row: Mapping[str, Any]) -> str:
    """`namespace/pod/container` of a row, `node` for what is in none, `place not known` where nobody could say."""
    if row.get("pod_name"):
        parts = [row.get("namespace"), row["pod_name"], row.get("container_name")]
        return "/".join(str(part) for part in parts if part)
    if row.get("container_name"):
        return f"container {row['container_name']}"
    if row.get("container_id"):
        return f"container {row['container_id'][:12]}"
    if row.get("pod_uid"):
        return f"pod {row['pod_uid']}"
    return "place not known" if row.get("in_container", False) is None else "node"
