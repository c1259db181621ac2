# SPDX-License-Identifier: Apache-2.0
"""A run of collect as a step: of the pod that the plan names and no later one, done by its receipt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from memir.errors import NodeError, StateError
from memir.evidence.collected import CollectedGap
from memir.evidence.folder import RECEIPT
from memir.respond.actions.collect import Collect
from memir.respond.actions.registry import action_of
from memir.respond.journal import Journal
from memir.respond.plan import Change
from memir.respond.run import reach
from tests.collected.made import PARTIAL, folder
from tests.collected.made import RECEIPT as RECEIPT_OF
from tests.respond import shop
from tests.respond.worlds import SHA, world


def made(tmp_path: Path, ran: list[list[str]], status: str = "complete", code: int = 0) -> Collect:
    plan = shop.plan(tmp_path / "c")
    change = next(change for step in plan.steps if step.kind == "collect" for change in step.changes)
    change = dataclasses.replace(change, needs={"folder": str(tmp_path / "ev")})

    def command(words: Sequence[str]) -> int:
        ran.append(list(words))
        folder(tmp_path / "ev", RECEIPT_OF if status == "complete" else PARTIAL)
        return code

    action = action_of(change, world(plan, shop.server(), run=command))
    assert isinstance(action, Collect)
    return action


def of(action: Collect, **changes: str) -> Collect:
    change: Change = dataclasses.replace(action.change, **changes)  # type: ignore[arg-type]
    return Collect(change, action.world)


def test_run_once(tmp_path: Path) -> None:
    ran: list[list[str]] = []
    action = made(tmp_path, ran)
    journal = Journal.start(tmp_path / "run", "p", SHA, [])
    assert [reach(action, journal), reach(action, journal)] == [True, False]
    assert len(ran) == 1
    assert ran[0][:3] == ["collect", "pod", f"shop/{shop.WEB}"]
    (tmp_path / "ev" / RECEIPT).write_text('{"kind": "pod"}')
    assert action.read() == {"status": "unknown"}
    (tmp_path / "ev" / RECEIPT).write_text("{}")
    assert action.read() == {"status": "unknown"}, "the receipt of something else"
    journal.close()


def test_a_partial_collection_is_not_written_over(tmp_path: Path) -> None:
    action = made(tmp_path, [], status="partial", code=4)
    journal = Journal.start(tmp_path / "run", "p", SHA, [])
    with pytest.raises(NodeError, match="memir collect pod ended with exit code 4"):
        reach(action, journal)
    with pytest.raises(NodeError, match=r"holds evidence that is partial: move the folder away \(a collection is not"):
        reach(action, journal)
    journal.close()


def test_another_pod_of_its_name_is_not_collected(tmp_path: Path) -> None:
    ran: list[list[str]] = []
    action = made(tmp_path, ran)
    with pytest.raises(StateError, match=r"is another pod now: its UID is .*, the plan is for old"):
        of(action, uid="old").apply({"status": "absent"}, {})
    gone = of(action, target="/api/v1/namespaces/shop/pods/gone")
    with pytest.raises(StateError, match="gone is gone: what the node still has of it is in the RAM"):
        gone.apply({"status": "absent"}, {})
    assert ran == []


def test_what_the_kernel_refuses_stops_no_plan_for_fargate(tmp_path: Path) -> None:
    action = made(tmp_path, [], status="partial", code=4)
    action = of(action, needs={"folder": str(tmp_path / "ev"), "refused": "accepted"})  # type: ignore[arg-type]
    with pytest.raises(NodeError, match="memir collect pod ended with exit code 4"):
        action.apply({"status": "absent"}, action.goal({}))
    assert action.read() == {"status": "partial"}, "its stream was cut"
    gap = CollectedGap("memory, environment, open files", "pid 7 (x)", "is hidden, without SYS_PTRACE", 1, True)
    done = dataclasses.replace(PARTIAL.collection, exit_code=0, gaps=(gap,))
    (tmp_path / "ev" / RECEIPT).write_bytes(dataclasses.replace(PARTIAL, collection=done).write())
    assert action.read() == {"status": "complete"}
    assert Collect(dataclasses.replace(action.change, needs={"folder": str(tmp_path / "ev")}), action.world).read() == {
        "status": "partial"
    }
