# SPDX-License-Identifier: Apache-2.0
"""A finding of a case as the start of a plan; the case is of a real image."""

from __future__ import annotations

from pathlib import Path

import pytest

import memir
from memir.errors import UsageError
from memir.respond.findings import finding_clue
from tests.images import case


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("case") / "case"
    with memir.open(case("s-6.12-intruded").image) as node:
        node.save(path)
    return path


def test_whose_it_is(folder: Path) -> None:
    rows = [row for row in memir.Case(folder)["findings"].to_pylist() if row["pod_uid"]]
    assert rows
    for row in rows:
        clue = finding_clue(f"{folder}:{row['id']}")
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
def test_what_names_none(folder: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        finding_clue(text.format(folder))
