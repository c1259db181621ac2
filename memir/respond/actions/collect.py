# SPDX-License-Identifier: Apache-2.0
"""A run of `memir collect pod`: done when its evidence folder has a receipt that says complete."""

from __future__ import annotations

from pathlib import Path

from memir.errors import CustodyError, NodeError, StateError
from memir.evidence.collected import refused_alone
from memir.evidence.pod_receipt import pod_receipt_of
from memir.kubeapi.client import get_object
from memir.respond.actions.acquire import Acquire
from memir.respond.actions.base import State


class Collect(Acquire):
    """calls: the command. target, uid: the pod. needs: folder; refused: accepted, where what the kernel refuses a
    reader within the pod (Fargate) is no reason to stop: the evidence says partial, and the plan goes on."""

    verb = "memir collect pod"
    instead = (
        "move the folder away (a collection is not gone on with; "
        "`memir collect close FOLDER` closes one that was killed)"
    )

    def apply(self, state: State, goal: State) -> None:
        """The command, if the pod is still the one that the plan is about: a StatefulSet's next has the same name."""
        path = self.change.target
        pod = get_object(self.world.api(), path)
        if pod is None:
            raise StateError(f"{path} is gone: what the node still has of it is in the RAM")
        uid = (pod.get("metadata") or {}).get("uid")
        if uid != self.change.uid:
            raise StateError(f"{path} is another pod now: its UID is {uid}, the plan is for {self.change.uid}")
        try:
            super().apply(state, goal)
        except NodeError:
            if self.read() != goal:
                raise

    def _status(self, folder: Path) -> str:
        try:
            receipt = pod_receipt_of(folder)
        except CustodyError:
            return "unknown"
        if receipt is None:
            return "unknown"
        accepted = self.change.needs.get("refused") == "accepted" and receipt.status == "partial"
        return "complete" if accepted and refused_alone(receipt.collection) else receipt.status
