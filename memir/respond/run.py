# SPDX-License-Identifier: Apache-2.0
"""Run a plan: step by step, each change recorded before it is made; the first surprise ends it.

A change whose goal is there already is recorded and not made. One that the record has begun is gone on with from what
is there: the state before, the goal, or one between them. Anything else is a surprise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from memir.errors import MemirError, PlanError, StateError, UsageError
from memir.respond.actions.base import Action, World, show
from memir.respond.actions.registry import action_of
from memir.respond.choose import chosen, may_be_run, rest
from memir.respond.journal import Journal
from memir.respond.order import check_order
from memir.respond.plan import Plan, Step, change_digest
from memir.text import counted

Answer = Literal["run", "skip", "stop"]
Outcome = Literal["done", "was so", "nothing to do", "left to you", "refused", "skipped"]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a step. details: of each change, in words."""

    step: Step
    outcome: Outcome
    details: tuple[str, ...] = ()


def check_runnable(plan: Plan, only: Sequence[str] = (), done: Collection[str] = ()) -> None:
    """only: ids or kinds of the steps that are run, () for all. done: ids of steps that are done.

    Raises UsageError for steps with facts that they lack or an order that cuts a step off, PlanError for a plan that is
    not whole."""
    steps = chosen(plan, only)
    if missing := [f"{step.id}: {fact}" for step in steps for fact in step.unresolved]:
        known = may_be_run(steps)
        raise UsageError(
            f"{'what --only names' if only else 'the plan'} lacks {counted(len(missing), 'fact')}, and nothing is run:"
            f" {missing[0]}: `memir plan PLAN --check` fills in what AWS knows, a plan made anew the rest; or take the"
            f" step out of the file, or run {f'what lacks none: {known}' if known else 'other steps, each with --only'}"
        )
    for step in plan.steps:
        if step.by == "hand" and step.changes:
            raise PlanError(f"step {step.id} is left to the reader's hand and has changes")
    check_order(replace(plan, steps=(*steps, *rest(plan, steps, done))))


def execute(
    plan: Plan, journal: Journal, world: World, decide: Callable[[Step], Answer], tell: Callable[[Done], None],
    only: Sequence[str] = (),
) -> list[Done]:  # fmt: skip
    """Run every step that `decide` lets run; with `only`, of those alone. Raises StateError at the first surprise,
    RemoteError where a request fails; what was done stays, and is in the record."""
    check_runnable(plan, only, [step.id for step in plan.steps if _all_done(step, journal)])
    outcomes = []
    for step in chosen(plan, only):
        idle = step.by == "hand" or step.refused or not step.changes or _all_done(step, journal)
        answer: Answer = "skip" if idle else decide(step)
        if answer == "stop":
            journal.add("stopped", step=step.id, why="the reader stopped it")
            break
        done = _skipped(step, journal) if answer == "skip" else _run(step, journal, world)
        outcomes.append(done)
        tell(done)
    else:
        part = {"only": list(only)} if only else {}
        journal.add("end", steps={done.step.id: done.outcome for done in outcomes}, **part)
    return outcomes


def left_out(plan: Plan, journal: Journal, only: Sequence[str]) -> list[Step]:
    """What a run of a part has still to do."""
    done = [step.id for step in plan.steps if _all_done(step, journal)]
    return list(rest(plan, chosen(plan, only), done))


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
        journal.before(ident, state, goal, change_digest(action.change))
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
