# SPDX-License-Identifier: Apache-2.0
"""A security group of ours: one that allows all in both directions, one that allows nothing.

Flows are not tracked where rules allow all traffic in both directions; a group without rules then cuts them at once.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html
"""

from __future__ import annotations

from typing import Any

from memir.respond.actions.aws import TAG, AwsAction, tags
from memir.respond.actions.base import State

ALL: list[dict[str, Any]] = [
    {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
]


class Ec2Group(AwsAction):
    """target: its name. needs: vpc, and rules: all or none."""

    def read(self) -> State:
        """present, ours, rules (all, none or other), id."""
        filters = [
            {"Name": "vpc-id", "Values": [self.change.needs["vpc"]]},
            {"Name": "group-name", "Values": [self.change.target]},
        ]
        groups = self.ask("ec2", "DescribeSecurityGroups", Filters=filters)["SecurityGroups"]
        if not groups:
            return {"present": False}
        group = groups[0]
        ours = any((tag["Key"], tag["Value"]) == (TAG, self.world.plan_id) for tag in group.get("Tags", []))
        kinds = {_kind(group.get("IpPermissions", [])), _kind(group.get("IpPermissionsEgress", []))}
        return {
            "present": True, "ours": ours, "rules": kinds.pop() if len(kinds) == 1 else "other", "id": group["GroupId"],
        }  # fmt: skip

    def goal(self, state: State) -> State:
        """There, ours, with its rules."""
        del state
        return {"present": True, "ours": True, "rules": self.change.needs["rules"]}

    def same(self, state: State, other: State) -> bool:
        """By all but the id."""
        return all(state.get(key) == other.get(key) for key in ("present", "ours", "rules"))

    def between(self, state: State, before: State, goal: State) -> bool:
        """There and ours, its rules not yet."""
        del before, goal
        return bool(state.get("ours"))

    def unexpected(self, state: State) -> str:
        """A group of that name is not ours."""
        return f"a security group {self.change.target} is there already" if state["present"] else ""

    def apply(self, state: State, goal: State) -> None:
        """Made, then its rules."""
        if not state["present"]:
            self.ask(
                "ec2", "CreateSecurityGroup", GroupName=self.change.target, VpcId=self.change.needs["vpc"],
                Description=f"{self.world.plan_id}: allows {goal['rules']}",
                TagSpecifications=tags("security-group", self.world.plan_id),
            )  # fmt: skip
        group = self._group()
        for way, key in (("Ingress", "IpPermissions"), ("Egress", "IpPermissionsEgress")):
            there = group.get(key, [])
            if _kind(there) == goal["rules"]:
                continue
            if there:
                self.ask("ec2", f"RevokeSecurityGroup{way}", GroupId=group["GroupId"], IpPermissions=there)
            if goal["rules"] == "all":
                self.ask("ec2", f"AuthorizeSecurityGroup{way}", GroupId=group["GroupId"], IpPermissions=ALL)

    def restore(self, state: State, goal: State) -> None:
        """Deleted; EC2 refuses while an interface has it."""
        del goal
        self.ask("ec2", "DeleteSecurityGroup", GroupId=state["id"])

    def _group(self) -> dict[str, Any]:
        group: dict[str, Any] = self.ask(
            "ec2", "DescribeSecurityGroups", GroupIds=[str(self.read()["id"])]
        )["SecurityGroups"][0]  # fmt: skip
        return group


def _kind(rules: list[dict[str, Any]]) -> str:
    """all, none or other."""
    if not rules:
        return "none"
    every = [rule for rule in rules if rule.get("IpProtocol") == "-1"]
    v4 = {item["CidrIp"] for rule in every for item in rule.get("IpRanges", [])}
    v6 = {item["CidrIpv6"] for rule in every for item in rule.get("Ipv6Ranges", [])}
    return "all" if ("0.0.0.0/0" in v4 and "::/0" in v6 and len(every) == len(rules)) else "other"
