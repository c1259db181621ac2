# SPDX-License-Identifier: Apache-2.0
"""Fields of one Kubernetes object set or taken away: labels, annotations, spec.unschedulable, subjects of a binding.

One PATCH with the object's UID and resourceVersion, which the API server refuses (409) when either differs: what was
read is what is changed. https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memir.errors import RemoteError, StateError
from memir.kubeapi.client import call_json, calling, get_object, status_of
from memir.respond.actions.base import Action, State

MERGE = "application/merge-patch+json"
TRIES = 8
"""A kubelet writes its node's and pods' status at any time: a conflict is read again."""


class KubeFields(Action):
    """The fields are the keys of the change's before and after, as JSON pointers."""

    def read(self) -> State:
        """The fields' values, None where there is none."""
        return self._values(self._get())

    def apply(self, state: State, goal: State) -> None:
        """One PATCH; read again and compared when something else of the object was written meanwhile."""
        for attempt in range(TRIES):
            item = self._get()
            if self._values(item) != dict(state):
                raise StateError(f"{self.change.target} was changed by someone else while it was being changed")
            meta = item["metadata"]
            patch: dict[str, Any] = {"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}
            for pointer, value in goal.items():
                _set(patch, _keys(pointer), value)
            try:
                with calling("patch", self.change.target):
                    call_json(self.world.api(), "PATCH", self.change.target, body=patch, content_type=MERGE)
            except RemoteError as error:
                if status_of(error) != 409 or attempt == TRIES - 1:
                    raise
            else:
                return

    def _get(self) -> Mapping[str, Any]:
        path = self.change.target
        item = get_object(self.world.api(), path)
        if item is None:
            raise StateError(f"{path} is gone")
        uid = (item.get("metadata") or {}).get("uid")
        if self.change.uid and uid != self.change.uid:
            raise StateError(f"{path} is another object now: its UID is {uid}, the plan is for {self.change.uid}")
        return item

    def _values(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {pointer: _value(item, _keys(pointer)) for pointer in {**self.change.before, **self.change.after}}


def _keys(pointer: str) -> list[str]:
    """RFC 6901."""
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]


def _value(item: Any, keys: list[str]) -> Any:
    for key in keys:
        item = item.get(key) if isinstance(item, Mapping) else None
    return item


def _set(patch: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        patch = patch.setdefault(key, {})
    patch[keys[-1]] = value


def pointer(*keys: str) -> str:
    """A JSON pointer to these keys."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
