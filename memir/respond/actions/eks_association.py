# SPDX-License-Identifier: Apache-2.0
"""The way to new sessions by EKS Pod Identity: the association of a service account with a role, removed."""

from __future__ import annotations

from typing import Any

from memir.errors import StateError
from memir.respond.actions.aws import AwsAction
from memir.respond.actions.base import State

KEPT = ("roleArn", "targetRoleArn", "disableSessionTags", "tags")


class EksAssociation(AwsAction):
    """target: NAMESPACE/ACCOUNT. before: role. needs: cluster."""

    def read(self) -> State:
        """role, None if there is no association; and what else an association has, for undo."""
        association = self._association()
        if association is None:
            return {"role": None}
        more = {key: association[key] for key in KEPT[1:] if association.get(key)}
        return {"role": association["roleArn"], **more}

    def same(self, state: State, other: State) -> bool:
        """By the role: an association that is made again has another id."""
        return bool(state["role"] == other["role"])

    def apply(self, state: State, goal: State) -> None:
        """Deleted."""
        del state, goal
        association = self._association()
        if association is None:
            raise StateError(f"the Pod Identity association of {self.change.target} is gone")
        self.ask(
            "eks", "DeletePodIdentityAssociation", clusterName=self.change.needs["cluster"],
            associationId=association["associationId"],
        )  # fmt: skip

    def restore(self, state: State, goal: State) -> None:
        """Made again, with what the record has of it."""
        del state
        namespace, _, account = self.change.target.partition("/")
        more = {key: goal[key] for key in KEPT[1:] if goal.get(key)}
        self.ask(
            "eks", "CreatePodIdentityAssociation", clusterName=self.change.needs["cluster"], namespace=namespace,
            serviceAccount=account, roleArn=goal["role"], **more,
        )  # fmt: skip

    def _association(self) -> dict[str, Any] | None:
        namespace, _, account = self.change.target.partition("/")
        cluster = self.change.needs["cluster"]
        listed = self.ask(
            "eks", "ListPodIdentityAssociations", clusterName=cluster, namespace=namespace, serviceAccount=account
        )["associations"]  # fmt: skip
        if not listed:
            return None
        association: dict[str, Any] = self.ask(
            "eks", "DescribePodIdentityAssociation", clusterName=cluster, associationId=listed[0]["associationId"]
        )["association"]  # fmt: skip
        return association
