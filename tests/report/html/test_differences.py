# SPDX-License-Identifier: Apache-2.0
"""Differences of two cases as the page has them."""

from __future__ import annotations

from memir.case.diff import Diff, Difference
from memir.report.html.differences import DOC, NAME, differences_head, differences_table

CHANGED = Difference(
    "containers", "changed", {"namespace": "shop", "workload": "Deployment/api", "container": "api", "kind": "app"},
    {"image": "api:1"}, {"image": "api:2"}, (2, 2),
)  # fmt: skip
NEW = Difference("modules", "new", {"name": "rootkit"}, {}, {"size": "8192", "hidden": "true"}, (0, 1))
DIFF = Diff({"node": ("a", "b"), "boot": (None, "x")}, (CHANGED, NEW), ("containers", "modules"), {"bpf": "no table"})


def test_differences_table() -> None:
    first, second = differences_table(DIFF).to_pylist()
    assert first == {
        "kind": "containers", "state": "changed", "namespace": "shop", "workload": "Deployment/api",
        "container_name": "api", "what": "app", "old": "image api:1", "new": "image api:2", "count_old": 2,
        "count_new": 2,
    }  # fmt: skip
    assert (second["namespace"], second["what"], second["old"], second["new"]) == (
        None, "rootkit", None, "size 8192; hidden true",
    )  # fmt: skip
    schema = differences_table(Diff({}, (), (), {})).schema
    assert all((field.metadata or {}).get(b"doc") for field in schema) and NAME == "differences" and "a row" in DOC


def test_differences_head() -> None:
    assert differences_head(DIFF, "golden") == {
        "other": "golden",
        "facts": {"node": {"old": "a", "new": "b"}, "boot": {"old": None, "new": "x"}},
        "compared": ["containers", "modules"],
        "lacking": {"bpf": "no table"},
    }
