# SPDX-License-Identifier: Apache-2.0
"""A part of a plan: by id, by kind; what lacks a fact is never advised, and neither is isolation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from memir.errors import UsageError
from memir.respond.choose import chosen, may_be_run, rest, runnable
from memir.respond.plan import Plan
from tests.respond import shop


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return shop.plan(tmp_path / "cluster", evidence="s3://ev1/case")


def test_chosen(plan: Plan) -> None:
    assert chosen(plan, ()) == plan.steps
    ids = [step.id for step in chosen(plan, ("cordon", f"acquire-{shop.NODE}"))]
    assert ids == [f"acquire-{shop.NODE}", f"cordon-{shop.NODE}"]
    assert {step.kind for step in chosen(plan, ("hold",))} == {"hold"}
    with pytest.raises(UsageError, match=f"--only acq: no step .*; there are steps acquire-{shop.NODE}"):
        chosen(plan, ("acq",))
    with pytest.raises(UsageError, match="there are kinds acquire, collect, cordon"):
        chosen(plan, ("nothing",))


def test_what_lacks_a_fact_is_not_advised(plan: Plan) -> None:
    lacking = {step.id for step in plan.steps if step.unresolved}
    assert lacking
    words = runnable(plan.steps)
    assert not any(step.unresolved for step in chosen(plan, words))
    assert "acquire" in words and "hold" not in words and f"hold-node-{shop.NODE}" in words
    assert may_be_run(plan.steps).startswith("--only acquire --only collect --only hold-node-")
    dark = tuple(replace(step, unresolved=("x",)) for step in plan.steps)
    assert (runnable(dark), may_be_run(dark)) == ([], "")


def test_isolation_is_not_advised_before_the_ram(plan: Plan) -> None:
    no_place = [replace(step, unresolved=("x",)) if step.kind == "acquire" else step for step in plan.steps]
    assert "isolate-pod" in runnable(no_place) and "isolate" not in may_be_run(no_place)


def test_rest(plan: Plan) -> None:
    taken = chosen(plan, ("acquire",))
    kinds = [step.kind for step in rest(plan, taken, {f"cordon-{shop.NODE}"})]
    assert "acquire" not in kinds and "cordon" not in kinds and "pause" not in kinds and "isolate-pod" in kinds
