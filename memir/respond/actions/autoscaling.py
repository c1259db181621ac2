# SPDX-License-Identifier: Apache-2.0
"""Auto Scaling keeps its hands off: scale-in protection of the instance, processes of its group suspended.

Termination protection does not stop Auto Scaling. ReplaceUnhealthy would end an instance that is isolated.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
"""

from __future__ import annotations

from memir.errors import StateError
from memir.respond.actions.aws import AwsAction
from memir.respond.actions.base import State


class AsgProtection(AwsAction):
    """target: the instance. needs: group."""

    def read(self) -> State:
        """protected."""
        items = self.ask("autoscaling", "DescribeAutoScalingInstances", InstanceIds=[self.change.target])
        instances = items["AutoScalingInstances"]
        if not instances:
            raise StateError(f"{self.change.target} is in no Auto Scaling group any more")
        return {"protected": bool(instances[0]["ProtectedFromScaleIn"])}

    def apply(self, state: State, goal: State) -> None:
        """On, or at undo as it was."""
        del state
        self.ask(
            "autoscaling", "SetInstanceProtection", InstanceIds=[self.change.target],
            AutoScalingGroupName=self.change.needs["group"], ProtectedFromScaleIn=goal["protected"],
        )  # fmt: skip


class AsgProcesses(AwsAction):
    """target: the group. before and after: suspended, of the processes in `after`."""

    def read(self) -> State:
        """suspended: those of ours that are, sorted."""
        groups = self.ask("autoscaling", "DescribeAutoScalingGroups", AutoScalingGroupNames=[self.change.target])
        if not groups["AutoScalingGroups"]:
            raise StateError(f"Auto Scaling group {self.change.target} is gone")
        names = {item["ProcessName"] for item in groups["AutoScalingGroups"][0].get("SuspendedProcesses", [])}
        return {"suspended": sorted(names & set(self._ours()))}

    def apply(self, state: State, goal: State) -> None:
        """Suspend what is not, resume what was not before."""
        for operation, names in (
            ("SuspendProcesses", sorted(set(goal["suspended"]) - set(state["suspended"]))),
            ("ResumeProcesses", sorted(set(state["suspended"]) - set(goal["suspended"]))),
        ):
            if names:
                self.ask("autoscaling", operation, AutoScalingGroupName=self.change.target, ScalingProcesses=names)

    def _ours(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.change.after["suspended"])  # type: ignore[union-attr]  # a list of names
