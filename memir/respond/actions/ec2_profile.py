# SPDX-License-Identifier: Apache-2.0
"""The instance profile taken from an instance, and given back: the way to new sessions of the node's role."""

from __future__ import annotations

from typing import Any

from memir.errors import StateError
from memir.respond.actions.aws import AwsAction
from memir.respond.actions.base import State

THERE = ("associating", "associated")


class Ec2Profile(AwsAction):
    """target: the instance. before: profile, its ARN."""

    def read(self) -> State:
        """profile: ARN, None if none."""
        association = self._association()
        return {"profile": association["IamInstanceProfile"]["Arn"] if association else None}

    def apply(self, state: State, goal: State) -> None:
        """Taken away."""
        del state, goal
        association = self._association()
        if association is None:
            raise StateError(f"{self.change.target} has no instance profile any more")
        self.ask("ec2", "DisassociateIamInstanceProfile", AssociationId=association["AssociationId"])

    def restore(self, state: State, goal: State) -> None:
        """Given back; the association has another id."""
        del state
        self.ask(
            "ec2", "AssociateIamInstanceProfile", InstanceId=self.change.target,
            IamInstanceProfile={"Arn": goal["profile"]},
        )  # fmt: skip

    def _association(self) -> dict[str, Any] | None:
        answer = self.ask(
            "ec2", "DescribeIamInstanceProfileAssociations",
            Filters=[{"Name": "instance-id", "Values": [self.change.target]}],
        )["IamInstanceProfileAssociations"]  # fmt: skip
        return next((item for item in answer if item["State"] in THERE), None)
