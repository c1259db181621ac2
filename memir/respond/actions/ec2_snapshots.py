# SPDX-License-Identifier: Apache-2.0
"""Snapshots of all of an instance's EBS volumes at one moment, tagged with the plan."""

from __future__ import annotations

from memir.respond.actions.aws import TAG, AwsAction, tags
from memir.respond.actions.base import State

INSTANCE = "memir-instance"


class Ec2Snapshots(AwsAction):
    """target: the instance. after: volumes."""

    def read(self) -> State:
        """Volumes that have a snapshot of this plan's, sorted; one that failed counts as none."""
        filters = [
            {"Name": f"tag:{TAG}", "Values": [self.world.plan_id]},
            {"Name": f"tag:{INSTANCE}", "Values": [self.change.target]},
        ]
        pages = self.ask("ec2", "DescribeSnapshots", Filters=filters, OwnerIds=["self"])["Snapshots"]
        return {"volumes": sorted({item["VolumeId"] for item in pages if item.get("State") != "error"})}

    def apply(self, state: State, goal: State) -> None:
        """CreateSnapshots: has no token against a request that is sent twice, so its tag is looked for first."""
        del state, goal
        self.ask(
            "ec2", "CreateSnapshots", InstanceSpecification={"InstanceId": self.change.target},
            Description=f"{self.world.plan_id} {self.change.target}",
            TagSpecifications=tags("snapshot", self.world.plan_id, memir_instance=self.change.target),
        )  # fmt: skip
