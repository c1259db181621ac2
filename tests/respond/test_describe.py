# SPDX-License-Identifier: Apache-2.0
"""A plan and its run in lines: everything that matters is there, within the terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from memir.respond.describe import (
    checked_lines,
    done_lines,
    lacking_lines,
    plan_lines,
    step_lines,
    undone_lines,
)
from memir.respond.run import Done
from memir.respond.undo import Undone
from tests.respond import shop


@pytest.mark.parametrize("columns", [80, 200])
def test_a_plan_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    plan = shop.plan(tmp_path)
    lines = list(plan_lines(plan, whole=True))
    words = " ".join(" ".join(lines).split())
    for step in plan.steps:
        rights = [right.words() for right in step.permissions]
        for text in (step.title, step.why, step.undo, *step.limits, *step.triggers, *rights):
            assert " ".join(text.split()) in words
        for change in step.changes:
            assert all(call in words for call in change.calls)
    wrapped = [line for line in lines if not line.lstrip().startswith(("command", "GET", "/")) and " " in line.strip()]
    assert max(len(line) for line in wrapped if "[" not in line and "metadata" not in line) <= columns


def test_a_plan_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    lines = list(plan_lines(shop.plan(tmp_path, shop.LEDGER, namespace="payments"), whole=False))
    text = "\n".join(lines)
    assert f"Node        {shop.NODE}, i-0abc1234def567890, other" in lines
    assert "MAY CUT NOTHING: VPC CNI binds policies only to pods that have an owner" in text
    assert " 5. Collect pod payments/ledger [collect-payments-ledger]" in lines


def test_steps_in_a_state(tmp_path: Path) -> None:
    plan = shop.plan(tmp_path, shop.API)
    detach = next(step for step in plan.steps if step.kind == "detach")
    lines = list(step_lines(detach, 6, whole=False))
    assert lines[0] == f" 6. Detach pod shop/{shop.API} from api [{detach.id}]  REFUSED"
    assert "every label that Service api selects is one that ReplicaSet" in " ".join(" ".join(lines).split())


def test_outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    step = shop.plan(tmp_path).steps[0]
    assert list(done_lines(Done(step, "done", ("x: y",)))) == [
        f"DONE         Hold node {shop.NODE} [hold-node-{shop.NODE}]", "             x: y",
    ]  # fmt: skip
    assert list(undone_lines(Undone("a", "as it was", False))) == ["UNDONE       a: as it was"]
    assert list(undone_lines(Undone("a", "why", True))) == ["KEPT         a: why"]
    assert list(checked_lines([("patch pods", "denied", "no")])) == ["denied     patch pods: no"]


def test_lacking_lines(tmp_path: Path) -> None:
    plan = shop.plan(tmp_path)
    first, second = lacking_lines(plan)
    assert first == (
        f"Unresolved  {len(plan.unresolved())} facts: a step that lacks one is not run. --check fills in what AWS"
        " knows, a plan made anew the rest"
    )
    assert second.strip().startswith("evidence whose facts are known can be kept before: --only acquire --only collect")
    assert list(lacking_lines(replace(plan, steps=plan.steps[:1]))) == []
