# SPDX-License-Identifier: Apache-2.0
"""Tables of real images for tests of detections, and the same with some cells changed."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest

from memir.findings.detect import detect
from memir.findings.facts import facts_of
from memir.findings.look import ImageFacts
from memir.findings.registry import detections
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.kube.snapshot import load_cluster
from memir.symbols.locate import locate
from memir.tables.table import read_tables
from tests.images import case, cases, kept

INTRUDED, SMALL, NODE = "s-6.12-intruded", "s-6.1-small", "node-6.1"
on_the_node = pytest.mark.skipif(NODE not in cases(), reason=f"needs {NODE}: MEMIR_IMAGES")
Tables = Mapping[str, pa.Table]
Row = dict[str, Any]


def _read(name: str) -> tuple[Tables, ImageFacts]:
    image = case(name)
    memory = image.open()
    view = image.beside("pods.json")
    source = RamSource(Kernel(memory, locate(memory)), load_cluster(view) if view.is_file() else None)
    tables = {table: frame.to_arrow() for table, frame in read_tables(source).items()}
    return tables, facts_of(source)


node = kept(_read)
"""Every table of an image with the API's view where there is one, and what is known of the image."""


@functools.lru_cache(maxsize=12)
def every(name: str) -> list[Row]:
    """All findings of an image."""
    tables, facts = node(name)
    return detect(tables, facts).rows()


def of_source(source: RamSource, word: str) -> list[Row]:
    """The findings of a kind in a source that a test made."""
    detection = detections()[word]
    frames = read_tables(source, detection.tables)
    tables = {table: frame.to_arrow() for table, frame in frames.items()}
    return [row for row in detect(tables, facts_of(source)).rows() if row["kind"] == word]


def kind(name: str, word: str) -> list[Row]:
    """The findings of a kind."""
    return [row for row in every(name) if row["kind"] == word]


def brief(rows: list[Row]) -> set[tuple[str, str | None, str | None, int | None]]:
    """(severity, pod, container, pid) of findings."""
    return {(row["severity"], row["pod_name"], row["container_name"], row["pid"]) for row in rows}


def rows_with(name: str, table: str, **values: Any) -> list[Row]:
    """Rows of an image's table that have these values."""
    return [row for row in node(name)[0][table].to_pylist() if all(row[key] == value for key, value in values.items())]


def after(name: str, word: str, table: str, where: Mapping[str, Any], facts: ImageFacts | None = None,
          **changes: Any) -> list[Row]:  # fmt: skip
    """The findings of a kind after cells of an image's table were changed, in the rows that have the values `where`."""
    tables, known = node(name)
    rows = tables[table].to_pylist()
    chosen = [row for row in rows if all(row[key] == value for key, value in where.items())]
    assert chosen, f"{name}: {table} has no such row"
    for row in chosen:
        row.update(changes)
    altered = {**tables, table: pa.Table.from_pylist(rows, schema=tables[table].schema)}
    return [row for row in detect(altered, facts or known).rows() if row["kind"] == word]


def given(name: str, word: str, only: bool = True, **tables: pa.Table) -> list[Row]:
    """The findings of a kind with these tables in the place of an image's own."""
    known, facts = node(name)
    rows = detect({**known, **tables}, facts, (word,) if only else None).rows()
    return [row for row in rows if row["kind"] == word]
