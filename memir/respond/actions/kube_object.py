# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes object of ours that is made, and removed again: a NetworkPolicy, a PodDisruptionBudget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memir.errors import StateError
from memir.kubeapi.client import call_json, calling, get_object
from memir.respond.actions.base import Action, State

PLAN = "memir/plan"
"""The annotation that says which plan made an object."""


class KubeObject(Action):
    """The manifest's object: absent before, there with the manifest's content after. Its UID is recorded."""

    def read(self) -> State:
        """present; ours: with this plan's mark and the manifest's content; uid."""
        path = self.change.target
        item = get_object(self.world.api(), path)
        if item is None:
            return {"present": False}
        meta = item.get("metadata") or {}
        mark = (meta.get("annotations") or {}).get(PLAN)
        ours = mark == self.world.plan_id and _within(self._manifest(), item)
        return {"present": True, "ours": ours, "uid": str(meta.get("uid"))}

    def goal(self, state: State) -> State:
        """There, and ours."""
        del state
        return {"present": True, "ours": True}

    def unexpected(self, state: State) -> str:
        """An object of that name that is not ours."""
        if state.get("present") and not state.get("ours"):
            return f"{self.change.target} is there already and is not this plan's"
        return ""

    def same(self, state: State, other: State) -> bool:
        """By presence and mark."""
        return (bool(state.get("present")), bool(state.get("ours"))) == (other["present"], bool(other.get("ours")))

    def apply(self, state: State, goal: State) -> None:
        """One POST, which the API server refuses when the name is taken."""
        del state, goal
        collection = self.change.target.rpartition("/")[0]
        with calling("create", collection):
            call_json(self.world.api(), "POST", collection, body=self._manifest())

    def cannot_undo(self, state: State, before: State) -> str:
        """What someone has changed since is not removed."""
        if state.get("present") and not state.get("ours"):
            return "someone has changed it since"
        return super().cannot_undo(state, before)

    def restore(self, state: State, goal: State) -> None:
        """One DELETE of the object with that UID and no other."""
        del goal
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": state["uid"]}}
        with calling("delete", self.change.target):
            call_json(self.world.api(), "DELETE", self.change.target, body=body)

    def _manifest(self) -> Mapping[str, Any]:
        import yaml

        value = yaml.safe_load(self.change.manifest)
        if not isinstance(value, dict):
            raise StateError(f"{self.change.id}: the plan's manifest is no object")
        return value


def _within(wanted: Any, value: Any) -> bool:
    """Whether everything of `wanted` is in `value`, which may have more: the server fills in defaults."""
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            _within(inner, value.get(key)) or (not inner and key not in value) for key, inner in wanted.items()
        )
    if isinstance(wanted, list):
        same = isinstance(value, list) and len(wanted) == len(value)
        return same and all(_within(*pair) for pair in zip(wanted, value, strict=True))
    return bool(wanted == value)
