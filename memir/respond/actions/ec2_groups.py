# SPDX-License-Identifier: Apache-2.0
"""The security groups of one network interface: the one that allows all, so that no flow is tracked, then the other.

The other allows nothing. ModifyInstanceAttribute fails on an instance with several interfaces, as VPC CNI nodes are.
"""

from __future__ import annotations

from memir.errors import StateError
from memir.respond.actions.aws import AwsAction
from memir.respond.actions.base import State

GONE = ("InvalidNetworkInterfaceID.NotFound",)


class Ec2Groups(AwsAction):
    """target: the interface. before: its groups. needs: vpc, and the names open and closed of the groups of ours."""

    def read(self) -> State:
        """groups, sorted. Raises StateError where the interface is gone."""
        answer = self.ask_or(GONE, "ec2", "DescribeNetworkInterfaces", NetworkInterfaceIds=[self.change.target])
        if not answer or not answer["NetworkInterfaces"]:
            raise StateError(f"network interface {self.change.target} is gone")
        return {"groups": sorted(group["GroupId"] for group in answer["NetworkInterfaces"][0]["Groups"])}

    def goal(self, state: State) -> State:
        """The closed group alone."""
        del state
        return {"groups": [self._id("closed")]}

    def between(self, state: State, before: State, goal: State) -> bool:
        """The open group alone: cut between the two requests."""
        del before, goal
        return bool(state["groups"] == [self._id("open")])

    def apply(self, state: State, goal: State) -> None:
        """Two requests, the first left out when it was made."""
        opened = [self._id("open")]
        if state["groups"] != opened:
            self._set(opened)
        self._set(goal["groups"])

    def restore(self, state: State, goal: State) -> None:
        """One request, straight back to the groups that were there."""
        del state
        self._set(goal["groups"])

    def _set(self, groups: list[str]) -> None:
        self.ask("ec2", "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=self.change.target, Groups=groups)

    def _id(self, which: str) -> str:
        name = self.change.needs[which]
        filters = [
            {"Name": "vpc-id", "Values": [self.change.needs["vpc"]]}, {"Name": "group-name", "Values": [name]},
        ]  # fmt: skip
        groups = self.ask("ec2", "DescribeSecurityGroups", Filters=filters)["SecurityGroups"]
        if not groups:
            raise StateError(f"the security group {name}, which the step made before, is gone")
        return str(groups[0]["GroupId"])
