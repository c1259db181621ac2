# SPDX-License-Identifier: Apache-2.0
"""AWS preflight: who calls, which IAM action is missing by name, is the instance online."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memir.acquire.transports.ssm.command import Commander
from memir.aws.client import Client
from memir.aws.errors import calling
from memir.errors import AccessError, RemoteError
from memir.evidence.plan import Check

SSM_ACTIONS = (
    "ssm:DescribeInstanceInformation", "ssm:SendCommand", "ssm:ListCommands", "ssm:GetCommandInvocation",
    "ssm:CancelCommand",
)  # fmt: skip
"""What a run asks of SSM."""


def caller(sts: Client) -> tuple[Check, dict[str, str]]:
    """Account and ARN of the caller; needs no permission at all."""
    try:
        with calling("sts:GetCallerIdentity", "AWS"):
            answer = sts.get_caller_identity()
    except RemoteError as error:
        return Check("AWS identity", "fail", str(error), "sign in, or choose another profile"), {}
    identity = {"caller": str(answer["Arn"]), "account": str(answer["Account"])}
    return Check("AWS identity", "ok", identity["caller"]), identity


def ssm_checks(commander: Commander, sts: Client | None) -> tuple[Sequence[Check], dict[str, str]]:
    """Checks of the SSM transport, and who the caller is."""
    out: list[Check] = []
    known: dict[str, str] = {}
    if sts is not None:
        check, known = caller(sts)
        out.append(check)
    out.append(ping_check(commander))
    return out, known


def ping_check(commander: Commander) -> Check:
    """PingStatus of the instance."""
    try:
        known = commander.information()
    except RemoteError as error:
        name = "ssm:DescribeInstanceInformation" if isinstance(error, AccessError) else "SSM"
        return Check(name, "fail", str(error), "allow the action" if isinstance(error, AccessError) else "try again")
    ping = str(known.get("PingStatus", "not managed"))
    if ping == "Online":
        return Check("SSM ping", "ok", f"Online, agent {known.get('AgentVersion', 'unknown')}")
    advice = (
        "look at the agent, the instance role (AmazonSSMManagedInstanceCore) and the security group: without "
        "a way to the service there is no SSM, so acquire before isolating. EKS Auto Mode's nodes have no agent: use "
        "memir acquire pod"
    )
    return Check("SSM ping", "fail", f"{commander.where} is {ping}", advice)


def missing_actions(checks: Sequence[Check]) -> list[str]:
    """The IAM actions that failed, by name."""
    return [check.name for check in checks if check.level == "fail" and re.fullmatch(r"[a-z0-9]+:\w+", check.name)]
