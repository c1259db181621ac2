# SPDX-License-Identifier: Apache-2.0
"""Run a plan: step by step, each change recorded before it is made; the first surprise ends it.

A change whose goal is there already is recorded and not made. One that the record has begun is gone on with from what
is there: the state before, the goal, or one between them. Anything else is a surprise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from memir.errors import MemirError, PlanError, StateError, UsageError
from memir.respond.actions.base import Action, World, show
from memir.respond.actions.registry import action_of
from memir.respond.journal import Journal
from memir.respond.order import check_order
from memir.respond.plan import Plan, Step

Answer = Literal["run", "skip", "stop"]
Outcome = Literal["done", "was so", "nothing to do", "left to you", "refused", "skipped"]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a step. details: of each change, in words."""

    step: Step
    outcome: Outcome
    details: tuple[str, ...] = ()


def check_runnable(plan: Plan) -> None:
    """Raises UsageError for a plan with facts that it lacks or whose order cuts a step off, PlanError for one that is
    not whole."""
    if missing := plan.unresolved():
        raise UsageError(
            f"the plan lacks {len(missing)} facts, and nothing is run: {missing[0]}: fill them in with --check, or take"
            " the step out of the file"
        )
    for step in plan.steps:
        if step.by == "hand" and step.changes:
            raise PlanError(f"step {step.id} is left to the reader's hand and has changes")
    check_order(plan)


def execute(
    plan: Plan, journal: Journal, world: World, decide: Callable[[Step], Answer], tell: Callable[[Done], None]
) -> list[Done]:
    """Run every step that `decide` lets run. Raises StateError at the first surprise, RemoteError where a request
    fails; what was done stays, and is in the record."""
    check_runnable(plan)
    outcomes = []
    for step in plan.steps:
        idle = step.by == "hand" or step.refused or not step.changes or _all_done(step, journal)
        answer: Answer = "skip" if idle else decide(step)
        if answer == "stop":
            journal.add("stopped", step=step.id, why="the reader stopped it")
            break
        done = _skipped(step, journal) if answer == "skip" else _run(step, journal, world)
        outcomes.append(done)
        tell(done)
    else:
        journal.add("end", steps={done.step.id: done.outcome for done in outcomes})
    return outcomes


def _all_done(step: Step, journal: Journal) -> bool:
    return bool(step.changes) and all(
        change.id in journal.entries and journal.entries[change.id].done for change in step.changes
    )


def _skipped(step: Step, journal: Journal) -> Done:
    if step.refused:
        return Done(step, "refused", (step.refused,))
    if step.by == "hand":
        return Done(step, "left to you", step.command)
    if not step.changes:
        return Done(step, "nothing to do")
    if _all_done(step, journal):
        return Done(step, "done", ("done before, as the record has it",))
    journal.add("skipped", step=step.id)
    return Done(step, "skipped")


def _run(step: Step, journal: Journal, world: World) -> Done:
    details, changed = [], False
    try:
        for change in step.changes:
            made = reach(action_of(change, world), journal)
            changed |= made
            words = show(journal.entries[change.id].goal)
            details.append(f"{change.target}: {words}" + ("" if made else " (it was so)"))
    except MemirError as error:
        journal.add("stopped", step=step.id, why=str(error))
        raise
    return Done(step, "done" if changed else "was so", tuple(details))


def reach(action: Action, journal: Journal) -> bool:
    """Bring one change to its goal; whether anything had to be changed. Raises StateError for a surprise."""
    ident = action.change.id
    state = action.read()
    entry = journal.entries.get(ident)
    if entry is None:
        if why := action.unexpected(state):
            raise StateError(f"{ident}: {why}: nothing was changed; make the plan anew")
        goal = action.goal(state)
        journal.before(ident, state, goal)
    else:
        goal = entry.goal
        known = action.same(state, entry.before) or action.between(state, entry.before, goal)
        if not known and not action.same(state, goal):
            raise StateError(f"{ident}: {show(state)} is there, which is neither what the record has nor the goal")
    changed = not action.same(state, goal)
    if changed:
        action.apply(state, goal)
        state = action.read()
        if not action.same(state, goal):
            raise StateError(f"{ident}: the request was accepted, but {show(state)} is there, not {show(goal)}")
    journal.after(ident, state)
    return changed
