# SPDX-License-Identifier: Apache-2.0
"""Checks before a run over SSM, answered by the stand-in."""

from __future__ import annotations

from memir.acquire.transports.ssm.check import caller, missing_actions, ping_check, ssm_checks
from memir.acquire.transports.ssm.command import Commander
from memir.aws.client import Connection, service_client
from memir.evidence.plan import Check
from tests.acquire.rigs.ssm import SsmServer

INSTANCE = "i-0123456789abcdef0"


def test_who_calls_and_whether_the_agent_is_there(ssm_server: SsmServer) -> None:
    there = Connection(ssm_server.region, ssm_server.endpoint)
    commander = Commander(service_client("ssm", there), INSTANCE, poll=0.02)
    check = ping_check(commander)
    assert (check.level, check.detail) == ("fail", f"instance {INSTANCE} is not managed")
    assert "acquire before isolating" in check.advice
    ssm_server.add(INSTANCE)
    sts = service_client("sts", there)
    check, known = caller(sts)
    assert (check.level, known["account"]) == ("ok", "123456789012")
    assert check.detail == known["caller"]
    checks, again = ssm_checks(commander, sts)
    assert [(check.name, check.level) for check in checks] == [("AWS identity", "ok"), ("SSM ping", "ok")]
    assert again == known
    assert [check.name for check in ssm_checks(commander, None)[0]] == ["SSM ping"]


def test_what_is_denied_is_named(ssm_server: SsmServer) -> None:
    ssm_server.add(INSTANCE)
    ssm_server.deny.add("ssm:DescribeInstanceInformation")
    there = Connection(ssm_server.region, ssm_server.endpoint)
    check = ping_check(Commander(service_client("ssm", there), INSTANCE, poll=0.02))
    assert (check.name, check.level, check.advice) == ("ssm:DescribeInstanceInformation", "fail", "allow the action")
    ssm_server.secrets.clear()
    refused, known = caller(service_client("sts", there))
    assert (refused.level, refused.advice, known) == ("fail", "sign in, or choose another profile", {})


def test_missing_actions_by_name() -> None:
    checks = [Check("ssm:SendCommand", "fail", ""), Check("s3:PutObject", "ok", ""), Check("SSM ping", "fail", "")]
    assert missing_actions(checks) == ["ssm:SendCommand"]
