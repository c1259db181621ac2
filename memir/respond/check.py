# SPDX-License-Identifier: Apache-2.0
"""Whether the run may do what the plan says: every right asked for by name, nothing changed.

Kubernetes: SelfSubjectAccessReview. AWS: iam:SimulatePrincipalPolicy for who calls; it knows identity policies and
boundaries, not service control policies or a resource's own: "allowed" is by the caller's policies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from memir.errors import AccessError, RemoteError
from memir.kubeapi.client import call_json, calling
from memir.respond.actions.aws import ask
from memir.respond.actions.base import World
from memir.respond.plan import Permission, Plan

Row = tuple[str, Literal["allowed", "denied", "not known"], str]
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
ASSUMED = re.compile(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.+")
MOST = 50
"""Actions of one simulation."""


def check_rights(plan: Plan, world: World) -> list[Row]:
    """(right, answer, why) of each right that the steps need, once. Raises AccessError without credentials."""
    rights = list(dict.fromkeys(right for step in plan.steps if not step.refused for right in step.permissions))
    kubernetes = [_review(right, world) for right in rights if right.system == "kubernetes"]
    actions = list(dict.fromkeys(right.verb for right in rights if right.system == "aws"))
    return kubernetes + (_simulate(actions, world) if actions else [])


def _review(right: Permission, world: World) -> Row:
    resource, _, sub = right.resource.partition("/")
    attributes = {
        "verb": right.verb, "resource": resource, "subresource": sub, "group": right.group,
        "namespace": right.namespace, "name": right.name,
    }  # fmt: skip
    body = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }  # fmt: skip
    try:
        with calling("create selfsubjectaccessreviews", "the API server"):
            answer = call_json(world.api(), "POST", REVIEW, body=body)
    except AccessError:
        raise
    except RemoteError as error:
        return right.words(), "not known", str(error)
    status = answer.get("status") or {}
    if status.get("allowed") is True:
        return right.words(), "allowed", ""
    return right.words(), "denied", str(status.get("reason") or "bind a role that allows it")


def _simulate(actions: list[str], world: World) -> list[Row]:
    try:
        caller = principal(str(ask(world, "sts", "GetCallerIdentity", "AWS")["Arn"]))
        rows: list[Row] = []
        for start in range(0, len(actions), MOST):
            names = actions[start : start + MOST]
            asked = {"PolicySourceArn": caller, "ActionNames": names, "MaxItems": 1000}
            answer = ask(world, "iam", "SimulatePrincipalPolicy", caller, **asked)
            rows += [_decision(item) for item in answer["EvaluationResults"]]
    except RemoteError as error:
        return [(action, "not known", str(error)) for action in actions]
    return rows + _missing(actions, rows)


def _decision(item: dict[str, str]) -> Row:
    decision = item["EvalDecision"]
    if decision == "allowed":
        return item["EvalActionName"], "allowed", "by the caller's own policies"
    return item["EvalActionName"], "denied", f"{decision}: allow it in the caller's policy"


def _missing(actions: Iterable[str], rows: list[Row]) -> list[Row]:
    answered = {name for name, _, _ in rows}
    return [(action, "not known", "IAM did not answer for it") for action in actions if action not in answered]


def principal(arn: str) -> str:
    """The role behind a session's ARN, which the simulation wants; other ARNs as they are."""
    match = ASSUMED.fullmatch(arn)
    return f"arn:{match[1]}:iam::{match[2]}:role/{match[3]}" if match else arn
