# SPDX-License-Identifier: Apache-2.0
"""A finding of a case as the start of a plan; the case is of a real image."""

from __future__ import annotations

from pathlib import Path

import pytest

import memir
from memir.errors import UsageError
from memir.respond.findings import finding_clue


def test_whose_it_is(intruded_case: Path) -> None:
    rows = [row for row in memir.Case(intruded_case)["findings"].to_pylist() if row["pod_uid"]]
    assert rows
    for row in rows[:: max(1, len(rows) // 4)]:
        clue = finding_clue(f"{intruded_case}:{row['id']}")
        assert (clue.pod_uid, clue.namespace, clue.pod) == (
            row["pod_uid"], row["namespace"] or "", row["pod_name"] or "",
        )  # fmt: skip
        assert clue.source == f"finding {row['id']}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "write CASE:ID"),
        ("{}:none-00000000", "the case has no such finding; there are"),
        ("/nowhere:x", "there is no case"),
    ],
)
def test_what_names_none(intruded_case: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        finding_clue(text.format(intruded_case))
