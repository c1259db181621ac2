# SPDX-License-Identifier: Apache-2.0
"""Sessions of a role that are older than now are denied everything, by an inline policy of ours.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
"""

from __future__ import annotations

import json
from typing import Any

from memir.respond.actions.aws import AwsAction
from memir.respond.actions.base import State

ABSENT = ("NoSuchEntity", "NoSuchEntityException")


class IamDeny(AwsAction):
    """target: the role's name. needs: policy, its name."""

    def read(self) -> State:
        """policy: the document, None if there is none."""
        names = {"RoleName": self.change.target, "PolicyName": self.change.needs["policy"]}
        answer = self.ask_or(ABSENT, "iam", "GetRolePolicy", **names)
        return {"policy": answer["PolicyDocument"] if answer else None}

    def goal(self, state: State) -> State:
        """The moment is that of the run, and is kept in its record."""
        del state
        return {"policy": document(self.world.now())}

    def apply(self, state: State, goal: State) -> None:
        """Put."""
        del state
        self.ask(
            "iam", "PutRolePolicy", RoleName=self.change.target, PolicyName=self.change.needs["policy"],
            PolicyDocument=json.dumps(goal["policy"]),
        )  # fmt: skip

    def restore(self, state: State, goal: State) -> None:
        """Deleted."""
        del state, goal
        self.ask(
            "iam", "DeleteRolePolicy", RoleName=self.change.target, PolicyName=self.change.needs["policy"]
        )  # fmt: skip


def document(before: str) -> dict[str, Any]:
    """Denies every session that was issued before this moment."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny", "Action": ["*"], "Resource": ["*"],
                "Condition": {"DateLessThan": {"aws:TokenIssueTime": before}},
            }
        ],
    }  # fmt: skip
