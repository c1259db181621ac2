# SPDX-License-Identifier: Apache-2.0
"""An instance taken out of its Auto Scaling group, which starts another in its place: nothing of the group ends it.

AttachInstances raises the desired capacity by one, and is refused where the group is at its MaxSize.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-detach-attach-instances.html
"""

from __future__ import annotations

from typing import Any

from memir.errors import StateError
from memir.respond.actions.aws import AwsAction
from memir.respond.actions.base import State

LEAVING = ("Detaching", "Detached")
"""It may take the load balancer's time to drain; nothing ends the instance any more."""


class AsgDetach(AwsAction):
    """target: the instance. before: group."""

    def read(self) -> State:
        """group, None if it is in none or on its way out."""
        answer = self.ask("autoscaling", "DescribeAutoScalingInstances", InstanceIds=[self.change.target])
        instances = [item for item in answer["AutoScalingInstances"] if item["LifecycleState"] not in LEAVING]
        return {"group": str(instances[0]["AutoScalingGroupName"]) if instances else None}

    def apply(self, state: State, goal: State) -> None:
        """Detached; the desired capacity stays, so that the group replaces it."""
        del goal
        self.ask(
            "autoscaling", "DetachInstances", InstanceIds=[self.change.target], AutoScalingGroupName=state["group"],
            ShouldDecrementDesiredCapacity=False,
        )  # fmt: skip

    def cannot_undo(self, state: State, before: State) -> str:
        """The group is gone or full."""
        del state
        name = before["group"]
        groups = self.ask("autoscaling", "DescribeAutoScalingGroups", AutoScalingGroupNames=[name])["AutoScalingGroups"]
        if not groups:
            return f"Auto Scaling group {name} is gone"
        group: dict[str, Any] = groups[0]
        if len(group["Instances"]) >= group["MaxSize"]:
            return (
                f"Auto Scaling group {name} has {len(group['Instances'])} instances, its MaxSize: raise that, or"
                " end the instance that took this one's place; then --undo again"
            )
        return self.change.irreversible

    def restore(self, state: State, goal: State) -> None:
        """Attached again. Raises StateError for an instance that another group has now."""
        if state["group"] is not None:
            raise StateError(f"{self.change.target} is in Auto Scaling group {state['group']} now")
        self.ask(
            "autoscaling", "AttachInstances", InstanceIds=[self.change.target], AutoScalingGroupName=goal["group"]
        )  # fmt: skip
