# SPDX-License-Identifier: Apache-2.0
"""Running a plan: done once, gone on with from any cut, ended by a surprise; the API refuses what is not right."""

from __future__ import annotations

import dataclasses
import os
import random
from pathlib import Path
from typing import Any

import pytest

from memir.errors import AccessError, PlanError, StateError, UsageError
from memir.respond.actions.registry import action_of
from memir.respond.journal import Journal, read_journal
from memir.respond.plan import Plan, Step
from memir.respond.run import Done, check_runnable, execute, left_out, reach
from memir.respond.undo import undo
from tests.respond import shop
from tests.respond.strict_api import StrictApi
from tests.respond.worlds import SHA, CutApi, Killed, run, take_back, without, world, yes

CUTS = 200 if os.environ.get("CI") else 25


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return without(shop.plan(tmp_path / "cluster"), "acquire", "collect", "snapshot-volumes", "isolate-node")


def test_done_once(plan: Plan, tmp_path: Path) -> None:
    server = shop.server()
    done = run(plan, tmp_path / "run", world(plan, server))
    assert [(each.step.kind, each.outcome) for each in done] == [
        ("hold", "done"), ("hold", "done"), ("isolate-pod", "done"), ("detach", "done"),
        ("revoke", "done"), ("pause", "left to you"), ("cordon", "done"),
    ]  # fmt: skip
    assert server.refused == []
    web = server.objects[f"/api/v1/namespaces/shop/pods/{shop.WEB}"]["metadata"]
    name = f"{plan.id}-033d7310"
    assert web["labels"] == {
        "app": "web", "pod-template-hash": "7bf68f75d5", "memir/incident": name, "memir/isolate": name,
    }  # fmt: skip
    assert server.objects[f"/api/v1/nodes/{shop.NODE}"]["spec"]["unschedulable"] is True
    bindings = "/apis/rbac.authorization.k8s.io/v1"
    assert server.objects[f"{bindings}/namespaces/shop/rolebindings/view"]["subjects"] == [shop.SOMEONE]
    assert "subjects" not in server.objects[f"{bindings}/clusterrolebindings/shop-view"]
    writes = [(method, path) for method, path in server.requests if method != "GET"]
    again = run(plan, tmp_path / "run", world(plan, server), resume=True)
    assert {each.outcome for each in again} == {"done", "left to you"}
    assert [pair for pair in server.requests if pair[0] != "GET"] == writes
    policy = writes.index(("POST", "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"))
    assert writes[policy + 1] == ("PATCH", f"/api/v1/namespaces/shop/pods/{shop.WEB}")


def test_what_is_so_already_is_not_done(plan: Plan, tmp_path: Path) -> None:
    server = shop.server()
    server.objects[f"/api/v1/nodes/{shop.NODE}"]["spec"]["unschedulable"] = True
    done = run(plan, tmp_path / "run", world(plan, server))
    assert (done[-1].outcome, done[-1].details) == (
        "was so", (f"/api/v1/nodes/{shop.NODE}: unschedulable true (it was so)",),
    )  # fmt: skip
    take_back(plan, tmp_path / "run", world(plan, server))
    assert server.objects[f"/api/v1/nodes/{shop.NODE}"]["spec"]["unschedulable"] is True


def surprises(server: StrictApi) -> dict[str, Any]:
    pod = server.objects[f"/api/v1/namespaces/shop/pods/{shop.WEB}"]

    def change(**labels: str) -> None:
        pod["metadata"]["labels"] |= labels

    return {
        "is another object now: its UID is other": lambda: pod["metadata"].update(uid="other"),
        "is gone": lambda: server.objects.pop(f"/api/v1/namespaces/shop/pods/{shop.WEB}"),
        "tier back is there, where the plan saw tier front": lambda: change(tier="back"),
    }


@pytest.mark.parametrize("words", surprises(shop.server()))
def test_a_surprise_ends_it(plan: Plan, tmp_path: Path, words: str) -> None:
    server = shop.server()
    surprises(server)[words]()
    with pytest.raises(StateError, match=words):
        run(plan, tmp_path / "run", world(plan, server))
    records = read_journal(tmp_path / "run")
    assert (records[-1]["event"], words in records[-1]["why"]) == ("stopped", True)
    assert not any(path.startswith("/api/v1/nodes") and method == "POST" for method, path in server.requests)
    assert "unschedulable" not in server.objects[f"/api/v1/nodes/{shop.NODE}"]["spec"]


def test_somebody_else_writes_at_the_same_time(plan: Plan, tmp_path: Path) -> None:
    """A conflict over other fields is read again; one over ours is a surprise, and theirs stays."""
    server, path = shop.server(), f"/api/v1/namespaces/shop/pods/{shop.WEB}"
    times = {"left": 3}

    def status(patched: str) -> None:
        if patched == path and times["left"]:
            times["left"] -= 1
            server.put(path, server.objects[path] | {"status": {"phase": "Running"}})

    server.before_patch = status
    run(plan, tmp_path / "run", world(plan, server))
    assert times["left"] == 0
    server = shop.server()

    def theirs(patched: str) -> None:
        if patched == path:
            annotations = {"annotations": {"karpenter.sh/do-not-disrupt": "false"}}
            server.put(path, server.objects[path] | {"metadata": server.objects[path]["metadata"] | annotations})

    server.before_patch = theirs
    with pytest.raises(StateError, match="was changed by someone else while it was being changed"):
        run(plan, tmp_path / "other", world(plan, server))
    assert server.objects[path]["metadata"]["annotations"] == {"karpenter.sh/do-not-disrupt": "false"}


def test_a_right_that_lacks_ends_it(plan: Plan, tmp_path: Path) -> None:
    class Denied(StrictApi):
        def _patch(self, path: str, patch: dict[str, Any], content_type: str) -> tuple[int, dict[str, Any]]:
            return self._refuse(403, "forbidden")

    server = Denied()
    server.load(shop.items())
    with pytest.raises(AccessError, match="not allowed to patch"):
        run(plan, tmp_path / "run", world(plan, server))
    assert take_back(plan, tmp_path / "run", world(plan, server))[-1].words.endswith("as it was")


def test_facts_that_lack_and_plans_that_are_not_whole(plan: Plan) -> None:
    step = dataclasses.replace(plan.steps[0], unresolved=("groups of eni-1",))
    with pytest.raises(UsageError, match=f"lacks 1 fact, and nothing is run: {step.id}: groups of eni-1"):
        check_runnable(dataclasses.replace(plan, steps=(step,)))
    part = dataclasses.replace(plan, steps=(step, *plan.steps[1:]))
    with pytest.raises(UsageError, match=f"or run what lacks none: --only {plan.steps[1].id}"):
        check_runnable(part)
    check_runnable(part, [plan.steps[1].id, "cordon"])
    with pytest.raises(UsageError, match="what --only names lacks 1 fact"):
        check_runnable(part, ["hold"])
    with pytest.raises(PlanError, match="left to the reader's hand and has changes"):
        check_runnable(dataclasses.replace(plan, steps=(dataclasses.replace(plan.steps[0], by="hand"),)))


def test_the_reader_decides(plan: Plan, tmp_path: Path) -> None:
    server, told = shop.server(), list[Done]()
    journal = Journal.start(tmp_path / "run", plan.id, SHA, [])

    def decide(step: Step) -> Any:
        return {"hold": "skip", "isolate-pod": "run"}.get(step.kind, "stop")

    execute(plan, journal, world(plan, server), decide, told.append)
    journal.close()
    assert [each.outcome for each in told] == ["skipped", "skipped", "done"]
    events = [(record["event"], record.get("step", "")) for record in read_journal(tmp_path / "run")]
    assert events[-1] == ("stopped", plan.steps[3].id)
    assert [path for method, path in server.requests if method == "PATCH"] == [
        f"/api/v1/namespaces/shop/pods/{shop.WEB}"
    ]


def test_a_part_first_and_the_rest_of_the_filled_plan_after(plan: Plan, tmp_path: Path) -> None:
    """What a step lacks does not hold up another; the record goes on with the plan that --check filled in."""
    server, folder = shop.server(), tmp_path / "run"
    before = server.state()
    lacking = dataclasses.replace(
        plan, steps=tuple(dataclasses.replace(step, unresolved=("x",), changes=()) if step.kind == "detach" else step
                          for step in plan.steps),
    )  # fmt: skip
    journal = Journal.start(folder, plan.id, SHA, [])
    done = execute(lacking, journal, world(plan, server), yes, lambda each: None, ["isolate-pod", "hold"])
    assert [(each.step.kind, each.outcome) for each in done] == [
        ("hold", "done"), ("hold", "done"), ("isolate-pod", "done"),
    ]  # fmt: skip
    assert [step.kind for step in left_out(plan, journal, ["isolate-pod", "hold"])] == ["detach", "revoke", "cordon"]
    journal.close()
    assert read_journal(folder)[-1]["only"] == ["isolate-pod", "hold"]
    filled = "f" * 64
    with pytest.raises(UsageError, match="or the plan was changed since"):
        Journal.resume(folder, filled, [])
    other = dataclasses.replace(plan, steps=plan.steps[1:])
    with pytest.raises(UsageError, match=f"in what was done by it .{plan.steps[0].changes[0].id}"):
        Journal.resume(folder, filled, [], plan=other)
    with pytest.raises(UsageError, match="by more than its steps"):
        Journal.resume(folder, filled, [], plan=dataclasses.replace(plan, id="memir-2"))
    journal = Journal.resume(folder, filled, [], plan=plan)
    outcomes = [each.outcome for each in execute(plan, journal, world(plan, server), yes, lambda each: None)]
    journal.close()
    assert outcomes == ["done", "done", "done", "done", "done", "left to you", "done"]
    assert read_journal(folder)[-1].keys().isdisjoint({"only"})
    journal = Journal.resume(folder, filled, [], plan=plan)
    undo(plan, journal, world(plan, server), lambda outcome: None)
    journal.close()
    assert server.state() == before and server.refused == []


def test_a_part_that_cuts_off_the_ram_is_refused(tmp_path: Path) -> None:
    """--only isolate-node while the RAM is still to be taken: as a plan in that order."""
    whole = shop.plan(tmp_path / "cluster", evidence="s3://ev1/case")
    known = dataclasses.replace(whole, steps=tuple(
        dataclasses.replace(step, unresolved=(), changes=step.changes or whole.steps[0].changes) for step in whole.steps
        if step.by != "hand"
    ))  # fmt: skip
    with pytest.raises(UsageError, match=f"step isolate-node-{shop.NODE} stands before acquire-{shop.NODE}"):
        check_runnable(known, ["isolate-node"])
    check_runnable(known, ["isolate-node", "acquire"])
    kept = [step.id for step in known.steps if step.kind in ("acquire", "collect")]
    check_runnable(known, ["isolate-node"], kept)


def test_reach_tells_whether_it_changed_anything(plan: Plan, tmp_path: Path) -> None:
    server = shop.server()
    journal = Journal.start(tmp_path / "run", plan.id, SHA, [])
    action = action_of(plan.steps[0].changes[0], world(plan, server))
    assert [reach(action, journal), reach(action, journal)] == [True, False]
    journal.close()


def test_cut_at_any_request(plan: Plan, tmp_path: Path) -> None:
    """Killed at random, again and again, before a request or after it: resumed, it ends as an uncut run; taken back,
    killed at random too, as before. The states between are only those of the plan's own changes."""
    whole = shop.server()
    before = whole.state()
    counter = CutApi(whole)
    run(plan, tmp_path / "whole", world(plan, counter))
    after = whole.state()
    assert before != after
    randomness = random.Random(11)
    for number in range(CUTS):
        server, folder = shop.server(), tmp_path / f"cut-{number}"
        for _ in range(randomness.choice([1, 1, 2, 3])):
            cut = CutApi(server, randomness.randint(1, counter.count), randomness.random() < 0.5)
            try:
                run(plan, folder, world(plan, cut), resume=True)
            except Killed:
                continue
        if number % 2:
            run(plan, folder, world(plan, server), resume=True)
            assert server.state() == after
        for _ in range(randomness.choice([0, 1, 2])):
            cut = CutApi(server, randomness.randint(1, 20), randomness.random() < 0.5)
            try:
                take_back(plan, folder, world(plan, cut))
            except Killed:
                continue
        outcomes = take_back(plan, folder, world(plan, server))
        assert [outcome for outcome in outcomes if outcome.kept] == []
        assert server.state() == before
        assert server.refused == []
    assert yes(plan.steps[0]) == "run"
