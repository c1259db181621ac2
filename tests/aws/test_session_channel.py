# SPDX-License-Identifier: Apache-2.0
"""A data channel with an agent that really runs the command: handshake, terminal, end; what does not open."""

from __future__ import annotations

import pytest

from memir.aws.client import Connection, service_client
from memir.aws.session_channel import Channel, open_channel
from memir.errors import ConnectError, NodeError
from tests.collect.ecs.agent import AGENT
from tests.collect.ecs.conftest import ecs_server  # noqa: F401  (fixture)
from tests.collect.ecs.rig import ARN, TASK, EcsServer


def channel(server: EcsServer, command: str) -> Channel:
    ecs = service_client("ecs", Connection("eu-west-1", server.endpoint), attempts=1)
    session = ecs.execute_command(
        cluster="shop", task=f"{ARN}:task/shop/{TASK}", container="web", command=command, interactive=True
    )["session"]
    return open_channel(session["streamUrl"], session["tokenValue"], "here")


def test_a_terminal(ecs_server: EcsServer) -> None:  # noqa: F811
    ours = channel(ecs_server, "/bin/sh -c 'read line; echo got $line'")
    assert (ours.ready, ours.agent) == (True, AGENT)
    ours.send(b"typed\n")
    data = b""
    while more := ours.read(100, 30):
        data += more
    assert data == b"typed\r\ngot typed\r\n", "the echo, and the answer"
    assert ours.ended
    ours.close()


def test_messages_out_of_order_twice_and_lost(
    ecs_server: EcsServer,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memir.aws.session_channel.RESEND", 0.1)
    ecs_server.swap = ecs_server.repeat = True
    ecs_server.drop_acks = 1
    ours = channel(ecs_server, "/bin/sh -c 'read line; python3 -c \"print(*range(20000), sep=str())\"'")
    ours.send(b"typed\n")
    data = b""
    while more := ours.read(1 << 16, 30):
        data += more
    assert data == b"typed\r\n" + "".join(map(str, range(20000))).encode() + b"\r\n"


def test_it_is_ended(ecs_server: EcsServer) -> None:  # noqa: F811
    ours = channel(ecs_server, "/bin/sh -c 'echo up; sleep 3600'")
    assert ours.read(100, 30) == b"up\r\n"
    with pytest.raises(ConnectError, match="here: the session did not answer in time"):
        ours.read(100, 0.1)
    ours.close()
    (session,) = ecs_server.sessions.values()
    assert (ours.ended, session.terminated) == (True, True)


def test_what_does_not_open(ecs_server: EcsServer) -> None:  # noqa: F811
    with pytest.raises(ConnectError, match="here: the session's address is no wss:// one"):
        open_channel("ws://example.com/", "t", "here")
    with pytest.raises(ConnectError, match="here: the session's connection did not open"):
        open_channel("ws://127.0.0.1:9/", "t", "here")
    ecs_server.encrypt = True
    with pytest.raises(NodeError, match=r"asks for KMSEncryption, which memir does not speak .*kmsKeyId"):
        channel(ecs_server, "true")


def test_a_connection_that_is_cut(ecs_server: EcsServer) -> None:  # noqa: F811
    ours = channel(ecs_server, "/bin/sh -c 'echo up; sleep 3600'")
    ours.handshake()
    (session,) = ecs_server.sessions.values()
    assert ours.read(100, 30) == b"up\r\n"
    session.sock.shutdown(2)
    with pytest.raises(ConnectError, match="the session's connection was lost"):
        ours.read(100, 30)
    ours.close()
