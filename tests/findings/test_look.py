# SPDX-License-Identifier: Apache-2.0
"""What detections look at."""

from __future__ import annotations

import pytest

from memir.findings.look import ImageFacts, Look, where
from memir.tables.sql import connected
from tests.findings.real import INTRUDED, SMALL, node


def test_rows_and_sql() -> None:
    tables, facts = node(INTRUDED)
    with connected(tables) as connection:
        look = Look(tables, connection, facts)
        assert look.has("processes") and not look.has("hits")
        assert look.rows("hits") == []
        assert look.by_pid[221]["comm"] == "kworkerds"
        assert look.process(221)["pid"] == 221 and look.process(None) == look.process(99999) == {}
        assert look.ask("select comm from processes where pid = 221") == [{"comm": "kworkerds"}]
        (toolbox,) = (row for row in look.rows("containers") if row["container_name"] == "toolbox")
        assert look.by_container[toolbox["container_id"]] is toolbox
        assert look.with_init(toolbox)["start_time"] == look.by_pid[266]["start_time"]


@pytest.mark.parametrize(("name", "api"), [(INTRUDED, True), (SMALL, False)])
def test_whether_the_api_was_heard(name: str, api: bool) -> None:
    tables, facts = node(name)
    with connected(tables) as connection:
        assert Look(tables, connection, facts).api is api


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"pod_name": "p", "namespace": "n", "container_name": "c"}, "n/p/c"),
        ({"pod_name": "p", "namespace": "n", "container_name": None}, "n/p"),
        ({"container_name": "c"}, "container c"),
        ({"container_id": "a" * 64}, f"container {'a' * 12}"),
        ({"pod_uid": "u"}, "pod u"),
        ({"in_container": None}, "place not known"),
        ({}, "node"),
    ],
)
def test_where(row: dict[str, str | None], text: str) -> None:
    assert where(row) == text
    assert ImageFacts().gaps == ()
