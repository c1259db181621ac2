# SPDX-License-Identifier: Apache-2.0
"""Take a run back: the last step first, each change to what the record says was there before, and nothing else.

What someone has changed since is left and told. Within a step, a change that cannot be taken back keeps those that lie
under it: labels are not given back without room for the pod.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memir.errors import StateError
from memir.respond.actions.base import Action, World, show
from memir.respond.actions.registry import action_of
from memir.respond.journal import Journal
from memir.respond.plan import Plan, Step


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of a change: taken back, or kept and why. holds: what lies under it in its step is kept as well."""

    change: str
    words: str
    kept: bool
    holds: bool = False


def undo(plan: Plan, journal: Journal, world: World, tell: Callable[[Undone], None]) -> list[Undone]:
    """Every change that the record has, in reverse. Raises RemoteError where a request fails; call again then."""
    outcomes: list[Undone] = []
    for step in reversed(plan.steps):
        for action in _in_order(step, world):
            if action.change.id not in journal.entries:
                continue
            outcome = _take_back(action, journal, _alone(action, step, journal))
            outcomes.append(outcome)
            tell(outcome)
            if outcome.holds:
                outcomes += _leave(step, action, journal, tell)
                break
    journal.add("undo-end", kept=[outcome.change for outcome in outcomes if outcome.kept])
    return outcomes


def _in_order(step: Step, world: World) -> Sequence[Action]:
    actions = [action_of(change, world) for change in reversed(step.changes)]
    return [*(each for each in actions if each.undo_first), *(each for each in actions if not each.undo_first)]


def _alone(action: Action, step: Step, journal: Journal) -> bool:
    """Whether what this change makes room for was never changed, or is taken back already."""
    others = [change for change in step.changes if change.id != action.change.id and not change.irreversible]
    return action.undo_first and not any(change.id in journal.entries for change in others)


def _leave(step: Step, stopped: Action, journal: Journal, tell: Callable[[Undone], None]) -> list[Undone]:
    outcomes = []
    for change in reversed(step.changes):
        if change.id != stopped.change.id and change.id in journal.entries:
            outcome = _kept(change.id, f"left, because {stopped.change.id} is", journal)
            outcomes.append(outcome)
            tell(outcome)
    return outcomes


def _kept(ident: str, why: str, journal: Journal, *, holds: bool = False) -> Undone:
    journal.kept(ident, why)
    return Undone(ident, why, True, holds)


def _take_back(action: Action, journal: Journal, alone: bool) -> Undone:
    ident = action.change.id
    entry = journal.entries[ident]
    try:
        state = action.read()
    except StateError as error:
        return _kept(ident, str(error), journal)
    if alone or (entry.undo_goal is None and not action.undo_first and action.same(state, entry.before)):
        words = "nothing to take back" if alone else f"{show(entry.before)}, as it was"
        journal.undone(ident, state)
        return Undone(ident, words, False)
    if entry.undo_goal is not None and action.same(state, entry.undo_goal):
        journal.undone(ident, state)
        return Undone(ident, show(entry.undo_goal), False)
    if not (action.same(state, entry.goal) or action.between(state, entry.before, entry.goal)):
        why = f"someone has changed it since: {show(state)} is there, not {show(entry.goal)}"
        return _kept(ident, why, journal, holds=True)
    if why := action.cannot_undo(state, entry.before):
        return _kept(ident, why, journal, holds=why != action.change.irreversible)
    goal = entry.undo_goal if entry.undo_goal is not None else action.undo_goal(state, entry.before)
    journal.undoing(ident, state, goal)
    action.restore(state, goal)
    after = action.read()
    if not action.same(after, goal):
        raise StateError(f"{ident}: the request was accepted, but {show(after)} is there, not {show(goal)}")
    journal.undone(ident, after)
    return Undone(ident, show(goal), False)
