# SPDX-License-Identifier: Apache-2.0
"""Shells that are told to write no history."""

from __future__ import annotations

import pytest

from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, kind, on_the_node

KIND = "history-off"


def test_there() -> None:
    assert brief(kind(INTRUDED, KIND)) == {("medium", "api-58f6c9d7b4-q8xkz", "api", 222)}


@on_the_node
def test_on_the_node() -> None:
    assert brief(kind(NODE, KIND)) == {("medium", "api-8489696577-l7df2", "api", 1195)}


def test_as_the_spec_says() -> None:
    where = {"container_name": "api"}
    (row,) = after(INTRUDED, KIND, "containers", where, env=["HISTFILE=/dev/null"])
    assert row["severity"] == "info"


@pytest.mark.parametrize(("variable", "count"), [("HISTSIZE=0", 1), ("HISTSIZE=1000", 0), ("XHISTFILE=", 0)])
def test_variables(variable: str, count: int) -> None:
    assert len(after(SMALL, KIND, "processes", {"pid": 150}, environ=[variable])) == count


def test_not_there() -> None:
    assert kind(SMALL, KIND) == []
