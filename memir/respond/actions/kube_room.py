# SPDX-License-Identifier: Apache-2.0
"""Room for the suspect when its labels return: its Deployment or ReplicaSet is made one larger, at undo alone.

With its labels back a ReplicaSet adopts the suspect and deletes a surplus pod: of those, first the ones that are not
assigned, then pending, then not ready, then the ones of the lowest `controller.kubernetes.io/pod-deletion-cost`
(ActivePodsWithRanks in pkg/controller/controller_utils.go of kubernetes). A suspect that is ready and has the highest
cost is the last; one that is not ready may be the first, whatever its cost.
"""

from __future__ import annotations

from typing import Any

from memir.errors import StateError
from memir.kubeapi.client import get_object
from memir.respond.actions.base import State
from memir.respond.actions.kube_fields import KubeFields

REPLICAS = "/spec/replicas"


class KubeRoom(KubeFields):
    """target: the workload whose count it is. needs: pod (its path), pod_uid, and owner: the path of its ReplicaSet."""

    undo_first = True

    def goal(self, state: State) -> State:
        """Nothing is changed when the step runs."""
        return dict(state)

    def unexpected(self, state: State) -> str:
        """Any count will do: it is read again at undo."""
        return "" if isinstance(state[REPLICAS], int) else "the workload has no count of replicas"

    def same(self, state: State, other: State) -> bool:
        """Only the count of an undo is ever compared: what people scale meanwhile is theirs."""
        return bool(state[REPLICAS] == other[REPLICAS])

    def between(self, state: State, before: State, goal: State) -> bool:
        """Every count is taken as it is."""
        del state, before, goal
        return True

    def undo_goal(self, state: State, before: State) -> State:
        """One more than now; it stays so while the suspect is kept."""
        del before
        return {REPLICAS: state[REPLICAS] + 1}

    def cannot_undo(self, state: State, before: State) -> str:
        """A suspect that is gone or not ready."""
        del state, before
        pod = get_object(self.world.api(), self.change.needs["pod"])
        if pod is None:
            return "the pod is gone"
        if (pod.get("metadata") or {}).get("uid") != self.change.needs["pod_uid"]:
            return "the pod is gone, another one has its name"
        owner = get_object(self.world.api(), self.change.needs["owner"])
        if owner is not None and not (owner.get("spec") or {}).get("replicas"):
            return (
                "the workload was rolled out or scaled to nothing since: the pod's own ReplicaSet wants no pods, and"
                " would delete it"
            )
        if not ready(pod):
            return (
                "the pod is not ready, and a ReplicaSet that adopts it again deletes such pods first: make it ready"
                " (end the pause, let its probes through), or leave it without the labels"
            )
        return self.change.irreversible

    def restore(self, state: State, goal: State) -> None:
        """One PATCH of the count."""
        if not isinstance(state[REPLICAS], int):
            raise StateError(f"{self.change.target} has no count of replicas any more")
        super().restore(state, goal)


def ready(pod: Any) -> bool:
    """Whether a pod's condition Ready is True."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)
