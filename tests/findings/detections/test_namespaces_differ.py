# SPDX-License-Identifier: Apache-2.0
"""Processes of containers in namespaces that they made."""

from __future__ import annotations

import pytest

from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, kind, on_the_node

KIND = "namespaces-differ"


@pytest.mark.parametrize(("change", "severity"), [({"user_ns": 4026539999}, "low"), ({"net_ns": 4026539999}, "info")])
def test_one_that_differs(change: dict[str, int], severity: str) -> None:
    """secretd of the miner's container, as if it had called unshare."""
    rows = after(INTRUDED, KIND, "processes", {"comm": "secretd"}, None, **change)
    assert brief(rows) == {(severity, "miner-0", "miner", 239)}
    assert rows[0]["title"].endswith(next(iter(change)).removesuffix("_ns"))


def test_what_is_not_known_does_not_differ() -> None:
    assert after(INTRUDED, KIND, "processes", {"comm": "secretd"}, user_ns=None) == []


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
