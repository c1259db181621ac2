# SPDX-License-Identifier: Apache-2.0
"""One command through the SSM stand-in, which really runs it: its end, its limits, its losses."""

from __future__ import annotations

from typing import Any

import pytest

from memir.acquire.transports.ssm.command import Answer, Commander
from memir.aws.client import Connection, service_client
from memir.errors import AccessError, ConnectError
from tests.acquire.rigs.ssm import SsmServer

INSTANCE = "i-0123456789abcdef0"


def commander(server: SsmServer, **options: Any) -> Commander:
    client = service_client("ssm", Connection(server.region, server.endpoint))
    return Commander(client, INSTANCE, **({"poll": 0.02, "delivery": 30} | options))


def test_a_command_to_its_end(ssm_server: SsmServer) -> None:
    ssm_server.add(INSTANCE)
    sender = commander(ssm_server)
    answer = sender.run("echo out; echo err >&2; exit 3", 20)
    assert (answer.status, answer.code, answer.out, answer.truncated) == ("Failed", 3, "out\n", False)
    assert answer.err.startswith("err\n")
    assert (sender.where, sender.ping()) == (f"instance {INSTANCE}", "Online")
    assert sender.run("true", 20).status == "Success"
    assert ssm_server.calls.count("ssm:SendCommand") == 2


def test_24_000_characters_are_kept() -> None:
    whole = Answer("c", "Success", "Success", 0, "x" * 23_980 + "--output truncated--", "")
    assert whole.truncated
    assert not Answer("c", "Success", "Success", 0, "x" * 24_000, "").truncated


def test_throttled_calls_are_repeated(ssm_server: SsmServer) -> None:
    ssm_server.add(INSTANCE)
    ssm_server.throttle = 3
    assert commander(ssm_server).run("echo x", 20).out == "x\n"
    assert ssm_server.throttle == 0


def test_a_lost_answer_does_not_run_it_twice(ssm_server: SsmServer) -> None:
    ssm_server.add(INSTANCE)
    lost = ["ssm:SendCommand"]

    def drop(action: str) -> bool:
        if action in lost:
            lost.remove(action)
            return True
        return False

    ssm_server.drop = drop
    assert commander(ssm_server).run("echo once", 20).out == "once\n"
    assert ssm_server.calls.count("ssm:SendCommand") == 1
    assert "ssm:ListCommands" in ssm_server.calls


def test_an_instance_that_is_not_managed(ssm_server: SsmServer) -> None:
    sender = commander(ssm_server)
    assert sender.information() == {}
    with pytest.raises(ConnectError, match=rf"{INSTANCE} is not managed by SSM .*\(not managed\): check the agent"):
        sender.send("true", 20)


def test_what_is_denied_and_what_is_cancelled(ssm_server: SsmServer) -> None:
    ssm_server.add(INSTANCE)
    sender = commander(ssm_server)
    command = sender.send("sleep 30", 60)
    sender.cancel(command)
    with pytest.raises(ConnectError, match=rf"command {command} ended as Cancelled .*SIGKILL"):
        sender.wait(command, 20)
    ssm_server.deny.add("ssm:SendCommand")
    with pytest.raises(AccessError, match="ssm:SendCommand"):
        sender.run("true", 20)
