# SPDX-License-Identifier: Apache-2.0
"""A finding of a case as the start of a plan; the case is of a real image."""

from __future__ import annotations

from pathlib import Path

import pytest

import memir
from memir.errors import UsageError
from memir.respond.findings import finding_clue, whose


def test_whose_it_is(intruded_case: Path) -> None:
    rows = [row for row in memir.Case(intruded_case)["findings"].to_pylist() if row["pod_uid"]]
    assert rows
    for row in rows[:: max(1, len(rows) // 4)]:
        clue = finding_clue(f"{intruded_case}:{row['id']}")
        assert (clue.pod_uid, clue.namespace, clue.pod) == (
            row["pod_uid"], row["namespace"] or "", row["pod_name"] or "",
        )  # fmt: skip
        assert clue.source == f"finding {row['id']}"


def test_by_kind_and_by_the_beginning(intruded_case: Path) -> None:
    rows = memir.Case(intruded_case)["findings"].to_pylist()
    kinds = [row["kind"] for row in rows]
    alone = next(row for row in rows if kinds.count(row["kind"]) == 1 and row["pod_uid"])
    by_id = finding_clue(f"{intruded_case}:{alone['id']}")
    assert finding_clue(f"{intruded_case}:{alone['kind']}") == by_id
    assert finding_clue(f"{intruded_case}:{alone['id'][:-2]}") == by_id
    several = next(kind for kind in kinds if kinds.count(kind) > 1)
    with pytest.raises(UsageError, match=f"{kinds.count(several)} findings are so called; there are {several}-"):
        finding_clue(f"{intruded_case}:{several}")
    with pytest.raises(UsageError, match=rf"and {len(rows) - 8} more .`memir findings CASE --json` has all"):
        finding_clue(f"{intruded_case}:nothing")
    assert whose({"namespace": "dev", "pod_name": "miner-0", "node": "n"}) == "dev/miner-0"
    assert (whose({"pod_name": None, "node": "n"}), whose({})) == ("n", "")


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
