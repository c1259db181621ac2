# SPDX-License-Identifier: Apache-2.0
"""What every kind of change does: read what is there, bring it to the goal, restore it.

An action never remembers: what it does follows from the state that it reads and from what the record of the run says,
so that a run that was killed between any two requests goes on, or is taken back, from what is there.

    class Switch(Action):
        def read(self): return {"on": ask()}
        def apply(self, state, goal): set(goal["on"])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memir.aws.client import Client, Connection
from memir.documents import encode
from memir.kubeapi.client import Api
from memir.respond.plan import Change

State = Mapping[str, Any]
"""What is there, as JSON holds it."""


@dataclass(frozen=True)
class World:
    """What a run may reach. api: makes a client of the Kubernetes API when first needed. aws: a client of a service.

    run: does a command of memir's own and gives its exit code. now: UTC, ISO 8601.
    """

    plan_id: str
    api: Callable[[], Api]
    aws: Callable[[str], Client]
    run: Callable[[Sequence[str]], int]
    now: Callable[[], str]
    connection: Connection = field(default_factory=Connection)


class Action:
    """One change of a plan, done and undone. Subclasses raise RemoteError's own kinds.

    undo_first: only there for undo, and before the other changes of its step.
    """

    undo_first = False

    def __init__(self, change: Change, world: World) -> None:
        self.change, self.world = change, world

    def read(self) -> State:
        """What is there now. Raises StateError where what the plan is about is gone."""
        raise NotImplementedError

    def goal(self, state: State) -> State:
        """What shall be there, given what is there before; kept in the record, so that it stays the same."""
        del state
        return encode(self.change.after)  # type: ignore[no-any-return]  # a mapping stays one

    def unexpected(self, state: State) -> str:
        """Why a state is not the one that the plan was made for, "" if it is."""
        expected = encode(self.change.before)
        if self.same(state, expected) or self.same(state, self.goal(state)):
            return ""
        return f"{show(state)} is there, where the plan saw {show(expected)}"

    def same(self, state: State, other: State) -> bool:
        """Whether two states are the same for this change."""
        return state == other

    def between(self, state: State, before: State, goal: State) -> bool:
        """Whether a state lies between before and goal: a change of several requests was cut there."""
        del state, before, goal
        return False

    def apply(self, state: State, goal: State) -> None:
        """The requests that lead from a state to the goal."""
        raise NotImplementedError

    def undo_goal(self, state: State, before: State) -> State:
        """What undo leaves there: what was there before."""
        del state
        return before

    def cannot_undo(self, state: State, before: State) -> str:
        """Why it cannot be taken back now, "" if it can."""
        del state, before
        return self.change.irreversible

    def restore(self, state: State, goal: State) -> None:
        """The requests that lead from a state back to an undo's goal."""
        self.apply(state, goal)


def show(state: State) -> str:
    """A state in a few words."""
    return ", ".join(f"{key.rpartition('/')[2].replace('~1', '/')} {_word(value)}" for key, value in state.items())


def _word(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list):
        return f"[{', '.join(map(_word, value))}]"
    if isinstance(value, Mapping):
        return "/".join(str(inner) for inner in value.values())
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
