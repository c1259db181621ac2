# SPDX-License-Identifier: Apache-2.0
"""Libraries that the loader was told to put in front."""

from __future__ import annotations

import pyarrow as pa
import pytest

from memir.findings.detect import detect
from memir.findings.detections.preload import in_odd_place
from tests.findings.real import INTRUDED, NODE, SMALL, after, kind, node, on_the_node, rows_with

KIND = "preload"


@pytest.mark.parametrize(
    ("variable", "severity"),
    [
        ("LD_PRELOAD=/tmp/a.so", "high"),
        ("LD_PRELOAD=/usr/lib/a.so:/usr/lib/.x/b.so", "high"),
        ("LD_AUDIT=/usr/lib/a.so", "medium"),
        ("LD_PRELOAD=", None),
        ("LD_LIBRARY_PATH=/tmp", None),
    ],
)
def test_variables(variable: str, severity: str | None) -> None:
    rows = after(SMALL, KIND, "processes", {"pid": 150}, environ=["A=b", variable])
    assert [(row["severity"], row["pid"]) for row in rows] == ([(severity, 150)] if severity else [])


def test_as_the_spec_says() -> None:
    """A variable that the container's spec gives as well."""
    spec = next(row["env"] for row in rows_with(INTRUDED, "containers", container_name="api"))
    tables, facts = node(INTRUDED)
    given = [*(spec or []), "LD_PRELOAD=/tmp/libjemalloc.so.2"]
    changed = dict(tables)
    for table, column, key in (("containers", "env", "container_name"), ("processes", "environ", "container_name")):
        rows = [{**row, **({column: given} if row[key] == "api" else {})} for row in tables[table].to_pylist()]
        changed[table] = pa.Table.from_pylist(rows, schema=tables[table].schema)
    severities = [row["severity"] for row in detect(changed, facts).rows() if row["kind"] == KIND]
    assert severities and set(severities) == {"low"}


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []


@pytest.mark.parametrize(("path", "odd"), [("/usr/lib/a.so", False), ("/usr/lib/.a/b.so", True), ("/dev/shm/a", True)])
def test_odd_places(path: str, odd: bool) -> None:
    assert in_odd_place(path) is odd
