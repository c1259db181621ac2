# SPDX-License-Identifier: Apache-2.0
"""Findings over a real image's tables and logs."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from memir.findings.detect import detect
from memir.logs.source import LogSource
from tests.findings.real import INTRUDED, node
from tests.images import case

AUDIT = "audit.log.gz"


def over(name: str, paths: Sequence[Path], kind: str, **tables: pa.Table) -> list[dict[str, Any]]:
    """The findings of a kind over an image and logs. tables: in the place of the image's own."""
    ram, facts = node(name)
    known = {**ram, **tables}
    source = LogSource(paths, known.get)
    logs = {table: source.table(table) for table in source.tables}
    return [row for row in detect(known | logs, facts).rows() if row["kind"] == kind]


@functools.lru_cache(maxsize=1)
def every_with_logs(name: str) -> list[dict[str, Any]]:
    """All findings of an image with its own audit log."""
    ram, facts = node(name)
    source = LogSource([real_log(name)], ram.get)
    return detect({**ram, **{table: source.table(table) for table in source.tables}}, facts).rows()


def real_log(name: str) -> Path:
    """The API server's own audit log of an image."""
    return case(name).beside(AUDIT)


def pod_of(name: str, image: str = INTRUDED) -> dict[str, Any]:
    """The row of a pod of an image."""
    return next(row for row in node(image)[0]["pods"].to_pylist() if row["pod_name"] == name)


def process_of(pid: int, image: str = INTRUDED) -> dict[str, Any]:
    """The row of a process of an image."""
    return next(row for row in node(image)[0]["processes"].to_pylist() if row["pid"] == pid)


def with_rows(name: str, *rows: Mapping[str, Any], image: str = INTRUDED) -> dict[str, pa.Table]:
    """A table of an image with more rows, by its name. rows: columns that are not named are null."""
    table = node(image)[0][name]
    added = [{column: row.get(column) for column in table.schema.names} for row in rows]
    return {name: pa.concat_tables([table, pa.Table.from_pylist(added, schema=table.schema)])}
