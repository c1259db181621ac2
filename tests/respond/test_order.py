# SPDX-License-Identifier: Apache-2.0
"""Orders: the published one beside a line that it would end; one that a reader wrote."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from memir.errors import UsageError
from memir.respond.match import Query
from memir.respond.order import ORDERS, check_order, cut_lines, in_order
from memir.respond.plan import Order, Plan
from tests.respond import shop

CUT, TAKE = f"revoke-profile-{shop.NODE}", f"acquire-{shop.NODE}"


def made(path: Path, order: Order, way: str) -> Plan:
    from memir.respond.make import make_plan
    from memir.respond.steps.base import Options

    options = Options("s3://evidence/case", way)
    query = Query(pods=(f"shop/{shop.WEB}",))
    return make_plan(shop.cluster(path), query, {}, shop.MADE, order=order, options=options)


@pytest.mark.parametrize(
    ("way", "why"),
    [("ssm", "SSM signs in with the node's role"), ("pod", "the kubelet, which starts the pod"), ("ssh", "")],
)
def test_the_published_order_would_cut_off_the_capture(tmp_path: Path, way: str, why: str) -> None:
    plan = made(tmp_path, "aws", way)
    ids = [step.id for step in plan.steps]
    assert (ids.index(CUT) > ids.index(TAKE)) is bool(why)
    kinds = [step.kind for step in plan.steps if step.id != CUT]
    assert kinds == sorted(kinds, key=ORDERS["aws"][0].index)  # nothing else was moved
    notes = [note for note in plan.notes if note.startswith(f"step {CUT} stands after {TAKE}")]
    assert len(notes) == bool(why) and all(why in note for note in notes)
    if why:  # nor before what else is collected over that line
        assert ids.index(CUT) > max(number for number, step in enumerate(plan.steps) if step.kind == "collect")
    check_order(plan)


def test_memory_first_has_no_conflict(tmp_path: Path) -> None:
    plan = made(tmp_path, "memory-first", "ssm")
    assert plan.notes == () and list(cut_lines(plan.steps)) == []
    assert in_order(plan.steps, "memory-first") == (list(plan.steps), [])


def test_an_order_of_the_readers_own(tmp_path: Path) -> None:
    plan = made(tmp_path, "memory-first", "pod")
    steps = sorted(plan.steps, key=lambda step: step.kind != "isolate-node")
    with pytest.raises(UsageError, match=f"step isolate-node-{shop.NODE} stands before {TAKE}, and an isolated node"):
        check_order(dataclasses.replace(plan, steps=tuple(steps)))
    refused = [dataclasses.replace(step, refused="locked") if step.kind == "isolate-node" else step for step in steps]
    check_order(dataclasses.replace(plan, steps=tuple(refused)))
