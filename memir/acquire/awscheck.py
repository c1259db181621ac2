"""AWS preflight: who calls, which IAM action is missing by name, is the instance online."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence

from memir.acquire.base import Check
from memir.acquire.s3 import Client, explain
from memir.acquire.ssm_command import Commander
from memir.errors import AccessError, NodeError, RemoteError, UsageError

SSM_ACTIONS = ("ssm:SendCommand", "ssm:CancelCommand")


def session_client(service: str, *, region: str | None, endpoint: str | None, profile: str | None) -> Client:
    """A client of another service (ssm, sts, iam) with short timeouts and standard retries."""
    import boto3
    from botocore.config import Config

    # no retries of its own: a SendCommand whose answer was lost must not be sent twice (ssm_command.py repeats)
    retries = {"mode": "standard", "total_max_attempts": 1 if service == "ssm" else 5}
    config = Config(retries=retries, connect_timeout=10, read_timeout=60)  # type: ignore[arg-type]  # a plain dict
    session: Client = boto3.Session(profile_name=profile, region_name=region)
    return session.client(service, endpoint_url=endpoint, config=config)


def instances_by_tag(ssm: Client, tag: str) -> list[str]:
    """Ids of the managed instances with a tag, `KEY=VALUE`. Raises UsageError, AccessError, NodeError."""
    from botocore.exceptions import BotoCoreError, ClientError

    key, equals, value = tag.partition("=")
    if not key or not equals:
        raise UsageError(f"--tag {tag!r}: write KEY=VALUE")
    try:
        pages = ssm.get_paginator("describe_instance_information").paginate(
            Filters=[{"Key": f"tag:{key}", "Values": [value]}]
        )
        found = [str(one["InstanceId"]) for page in pages for one in page["InstanceInformationList"]]
    except (ClientError, BotoCoreError) as error:
        raise explain(error, "ssm:DescribeInstanceInformation", "SSM") from error
    if not found:
        raise NodeError(f"no instance that SSM manages has the tag {tag}")
    return found


def caller(sts: Client) -> tuple[Check, dict[str, str]]:
    """Account and ARN of the caller; needs no permission at all."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = sts.get_caller_identity()
    except (ClientError, BotoCoreError) as error:
        said = explain(error, "sts:GetCallerIdentity", "AWS")
        return Check("AWS identity", "fail", str(said), "sign in, or choose another profile"), {}
    found = {"caller": str(answer["Arn"]), "account": str(answer["Account"])}
    return Check("AWS identity", "ok", found["caller"]), found


def ssm_checks(commander: Commander, sts: Client | None) -> tuple[Sequence[Check], dict[str, str]]:
    """Checks of the SSM transport, and who the caller is."""
    out: list[Check] = []
    known: dict[str, str] = {}
    if sts is not None:
        check, known = caller(sts)
        out.append(check)
    out.append(ping_check(commander))
    out.append(
        probe(
            "ssm:GetCommandInvocation", commander.where,
            lambda: commander.client.get_command_invocation(
                CommandId=str(uuid.uuid4()), InstanceId=commander.instance_id
            ),
        )
    )  # fmt: skip
    # sending to no instance: refused as denied where the action is, and as invalid where it is not
    out.append(
        probe(
            "ssm:SendCommand", commander.where,
            lambda: commander.client.send_command(
                InstanceIds=["i-00000000000000000"], DocumentName="AWS-RunShellScript",
                Parameters={"commands": ["true"]},
            ),
        )
    )  # fmt: skip
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
        "a way to the service there is no SSM, so acquire before isolating"
    )
    return Check("SSM ping", "fail", f"{commander.where} is {ping}", advice)


def probe(name: str, where: str, call: Callable[[], object]) -> Check:
    """Allowed unless the service says that it is denied."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        call()
    except ClientError as error:
        said = explain(error, name, where)
        if isinstance(said, AccessError):
            return Check(name, "fail", str(said), f"allow {name} in the caller's policy")
    except BotoCoreError as error:
        return Check(name, "warn", str(error), "try again")
    return Check(name, "ok", "allowed")


def missing_actions(checks: Sequence[Check]) -> list[str]:
    """The IAM actions that failed, by name."""
    return [check.name for check in checks if check.level == "fail" and re.fullmatch(r"[a-z0-9]+:\w+", check.name)]
