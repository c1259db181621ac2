# SPDX-License-Identifier: Apache-2.0
"""Scripts in a task's container by sessions of ECS Exec: byte for byte through a terminal, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from memir.aws.client import Connection, service_client
from memir.collect.ecs.task import read_task
from memir.collect.ecs.transport import EcsTransport
from memir.errors import AccessError, ConnectError, NodeError
from tests.acquire.rigs.wait import until
from tests.collect.ecs.rig import ARN, TASK, EcsServer

EVERY = bytes(range(256)) * 40


def transport(server: EcsServer, **more: Any) -> EcsTransport:
    ecs = service_client("ecs", Connection("eu-west-1", server.endpoint), attempts=1)
    return EcsTransport(ecs, read_task(ecs, "shop", TASK), **more)


def test_every_byte_both_ways(ecs_server: EcsServer) -> None:
    ecs_server.swap = ecs_server.repeat = True
    ours = transport(ecs_server)
    ours.connect()
    done = ours.run("cat; id -u >&2; exit 3", data=EVERY)
    assert (done.code, done.out, done.err, done.truncated) == (3, EVERY, b"1000\n", False)
    (session,) = ecs_server.sessions.values()
    until(lambda: session.terminated, lambda: "the session was not ended")
    stream = ours.open_stream("python3 -c 'print(300000 * chr(3), end=str())'")
    data = b""
    while piece := stream.read(1 << 16):
        data += piece
    assert data == b"\3" * 300000
    assert stream.wait(30).code == 0
    stream.close()
    (call,) = {str(body) for name, body in ecs_server.calls if name == "ExecuteCommand"}
    assert "cat" not in call and f"{ARN}:task/shop/{TASK}" in call


def test_an_acknowledgement_that_is_lost(ecs_server: EcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memir.aws.session_channel.RESEND", 0.2)
    ecs_server.drop_acks = 2
    assert transport(ecs_server).run("cat", data=EVERY).out == EVERY


def test_checks_before_anything_runs(ecs_server: EcsServer) -> None:
    ours = transport(ecs_server)
    assert [(check.name, check.level) for check in ours.check()] == [
        ("enableExecuteCommand", "ok"), ("ExecuteCommandAgent", "ok"), ("SYS_PTRACE", "warn"), ("session log", "ok"),
    ]  # fmt: skip
    assert ours.identity()["container_id"] == ecs_server.pod.container
    assert "in a session of ECS Exec" in ours.steps()[0].what
    assert [trace.where for trace in ours.traces()][:2] == ["CloudTrail", "Session Manager's history (30 days)"]
    ecs_server.task["enableExecuteCommand"] = False
    ecs_server.task["containers"][0]["managedAgents"] = []
    ecs_server.cluster["configuration"]["executeCommandConfiguration"]["logging"] = "DEFAULT"
    ours.connect()
    levels = {check.name: (check.level, check.detail) for check in ours.check()}
    assert levels["enableExecuteCommand"] == ("fail", "the task has not")
    assert levels["ExecuteCommandAgent"] == ("fail", "the agent in the container is absent")
    assert levels["session log"] == ("fail", "what is read goes to it too, memory and secrets: log group /ecs/shop")
    assert transport(ecs_server, accept_log=True).check()[3].level == "warn"
    assert "ExecuteCommand" not in [name for name, _ in ecs_server.calls]


def test_what_is_refused(ecs_server: EcsServer) -> None:
    ours = transport(ecs_server)
    with pytest.raises(NodeError, match="/x: nothing is written in container web"):
        ours.put("/x", b"")
    ecs_server.deny.add("ExecuteCommand")
    with pytest.raises(AccessError, match="ecs:ExecuteCommand is denied"):
        ours.run("true")
    ecs_server.deny.clear()
    ecs_server.task["containers"][0]["lastStatus"] = "STOPPED"
    with pytest.raises(NodeError, match=r"does not run \(STOPPED\)"):
        ours.reconnect()
    ecs_server.task["containers"][0]["runtimeId"] = "another"
    with pytest.raises(NodeError, match="is another run of it now"):
        ours.connect()
    ours.close()


def test_a_key_of_kms_is_refused_in_words(ecs_server: EcsServer) -> None:
    ecs_server.encrypt = True
    with pytest.raises(NodeError, match="KMSEncryption, which memir does not speak"):
        transport(ecs_server).run("true")


def test_a_byte_that_changed_on_its_way(ecs_server: EcsServer) -> None:
    ecs_server.corrupt = True
    with pytest.raises(ConnectError, match="line 0 of the session does not fit its checksum"):
        transport(ecs_server).run("echo there is something to be changed on its way through the terminal, long enough")
