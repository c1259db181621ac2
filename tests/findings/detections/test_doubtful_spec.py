# SPDX-License-Identifier: Apache-2.0
"""Witnesses that differ on a container or pod."""

from __future__ import annotations

from tests.findings.real import INTRUDED, after, kind

KIND = "doubtful-spec"


def test_there() -> None:
    doubt = "image: spec says a, API says b"
    (row,) = after(INTRUDED, KIND, "containers", {"container_name": "toolbox"}, doubts=[doubt])
    assert (row["severity"], row["title"]) == ("low", f"shop/toolbox/toolbox: {doubt}")
    number = row["container_id"]
    assert row["evidence"] == [
        {"table": "containers", "key": f"container_id = '{number}'"},
        {"table": "claims", "key": f"subject = 'container:{number}'"},
    ]
    (row,) = after(INTRUDED, KIND, "pods", {"pod_name": "toolbox"}, doubts=["x"])
    assert (row["title"], row["evidence"][0]["table"]) == ("shop/toolbox: x", "pods")


def test_not_there() -> None:
    assert kind(INTRUDED, KIND) == []
