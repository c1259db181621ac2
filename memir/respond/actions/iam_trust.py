# SPDX-License-Identifier: Apache-2.0
"""The way to new sessions of an IRSA role: the service account's subject denied in the role's trust policy."""

from __future__ import annotations

import copy
import json
from typing import Any

from memir.respond.actions.aws import AwsAction
from memir.respond.actions.base import State


class IamTrust(AwsAction):
    """target: the role's name. needs: subject, as system:serviceaccount:NS:NAME, and sid."""

    def read(self) -> State:
        """trust: the document."""
        return {"trust": self.ask("iam", "GetRole", RoleName=self.change.target)["Role"]["AssumeRolePolicyDocument"]}

    def unexpected(self, state: State) -> str:
        """No OIDC provider is trusted: the pod has its sessions from elsewhere."""
        return "" if providers(state["trust"]) else "the role trusts no OIDC provider: no pod gets a session this way"

    def goal(self, state: State) -> State:
        """One statement more for each provider; the others as they are."""
        trust = copy.deepcopy(state["trust"])
        statements = trust["Statement"] if isinstance(trust["Statement"], list) else [trust["Statement"]]
        sid, subject = self.change.needs["sid"], self.change.needs["subject"]
        kept = [statement for statement in statements if not str(statement.get("Sid", "")).startswith(sid)]
        denied = [deny(f"{sid}{number}", arn, subject) for number, arn in enumerate(providers(state["trust"]))]
        trust["Statement"] = [*kept, *denied]
        return {"trust": trust}

    def apply(self, state: State, goal: State) -> None:
        """The whole document is set; undo sets the recorded one."""
        del state
        text = json.dumps(goal["trust"])
        self.ask("iam", "UpdateAssumeRolePolicy", RoleName=self.change.target, PolicyDocument=text)


def providers(trust: Any) -> list[str]:
    """ARNs of the OIDC providers that a trust policy allows."""
    statements = trust.get("Statement", [])
    arns: list[str] = []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        federated = principal.get("Federated", []) if isinstance(principal, dict) else []
        for arn in federated if isinstance(federated, list) else [federated]:
            if statement.get("Effect") == "Allow" and ":oidc-provider/" in arn and arn not in arns:
                arns.append(arn)
    return arns


def deny(sid: str, arn: str, subject: str) -> dict[str, Any]:
    """A statement that denies one subject of a provider."""
    issuer = arn.partition(":oidc-provider/")[2]
    return {
        "Sid": sid, "Effect": "Deny", "Principal": {"Federated": arn}, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{issuer}:sub": subject}},
    }  # fmt: skip
