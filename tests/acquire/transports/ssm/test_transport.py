# SPDX-License-Identifier: Apache-2.0
"""Scripts over SSM against the loopback stand-in, which really executes them."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.transports.ssm.check import missing_actions
from memir.acquire.transports.ssm.command import Commander
from memir.acquire.transports.ssm.transport import SsmTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection, service_client
from memir.errors import AccessError, ConnectError, NodeError
from tests.acquire.rigs.ssm import SsmServer
from tests.acquire.rigs.ssm_agent import Agent
from tests.acquire.rigs.wait import until

INSTANCE = "i-0123456789abcdef0"


@pytest.fixture
def agent(ssm_server: SsmServer) -> Agent:
    return ssm_server.add(INSTANCE)


def commander(server: SsmServer, **options: Any) -> Commander:
    client = service_client("ssm", Connection(server.region, server.endpoint))
    return Commander(client, INSTANCE, **({"poll": 0.05, "delivery": 30} | options))


@pytest.fixture
def transport(ssm_server: SsmServer, agent: Agent, s3: Any, bucket: str) -> Iterator[SsmTransport]:
    made = SsmTransport(commander(ssm_server), s3=s3, spool=S3Address(bucket, "case"))
    yield made
    made.close()


def session_of(transport: SsmTransport) -> Path:
    """Its directory on the node, which is this machine; other tests have theirs beside it."""
    return Path(f"/dev/shm/.memir-ssm-{transport._name}")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_script_without_data_makes_no_file(transport: SsmTransport) -> None:
    got = transport.run("printf 'a\\0b'; echo oops >&2; exit 3")
    assert (got.code, got.out, got.err, got.truncated) == (3, b"a\0b", b"oops\n", False)
    assert not session_of(transport).exists()


def test_data_reaches_standard_input_and_no_log(transport: SsmTransport, ssm_server: SsmServer, agent: Agent) -> None:
    secret = f"https://bucket.example/?X-Amz-Signature={secrets.token_hex(32)}".encode()
    got = transport.run("cat; echo done >&2", data=secret)
    assert (got.code, got.out, got.err) == (0, secret, b"done\n")
    disk = agent.disk()
    sent = "".join(one.text for found in ssm_server.commands.values() for one in found.values())
    assert secret not in disk
    assert b"X-Amz-Signature" not in disk
    assert "X-Amz-Signature" not in sent
    assert b"PRIVATE KEY" not in disk


def test_large_data_and_output_go_through_the_bucket(
    transport: SsmTransport, agent: Agent, s3: Any, bucket: str, tmp_path: Path
) -> None:
    body = secrets.token_bytes(3_000_000)
    transport.put(str(tmp_path / "tool"), body, mode=0o700)
    assert (tmp_path / "tool").read_bytes() == body
    assert (tmp_path / "tool").stat().st_mode & 0o777 == 0o700
    got = transport.run(f"cat {tmp_path}/tool", limit=4 << 20)
    assert got.out == body
    assert not got.truncated
    left = s3.list_object_versions(Bucket=bucket)
    assert left.get("Versions", []) == []
    assert b"X-Amz" not in agent.disk()


def test_session_is_removed_at_close(transport: SsmTransport) -> None:
    transport.run("cat", data=b"x")
    folder = session_of(transport)
    assert folder.stat().st_mode & 0o777 == 0o700
    watchdog = int((folder / "watch.pid").read_text())
    transport.close()
    assert not folder.exists()
    until(lambda: not alive(watchdog), lambda: "the watchdog lives on")


def test_watchdog_removes_the_session_when_the_controller_vanishes(
    ssm_server: SsmServer, agent: Agent, s3: Any, bucket: str
) -> None:
    lost = SsmTransport(commander(ssm_server), s3=s3, spool=S3Address(bucket, ""), grace=4)
    lost.run("cat", data=b"x")
    folder = session_of(lost)
    assert folder.exists()
    until(lambda: not folder.exists())


def test_instance_not_online(ssm_server: SsmServer, agent: Agent, transport: SsmTransport) -> None:
    agent.ping = "ConnectionLost"
    with pytest.raises(ConnectError, match=r"not online in SSM \(ConnectionLost\).*before isolating"):
        transport.connect()
    agent.ping = "Inactive"
    with pytest.raises(ConnectError, match="not managed by SSM or not in a valid state"):
        transport.run("true")
    del ssm_server.agents[INSTANCE]
    with pytest.raises(ConnectError, match="not managed"):
        transport.connect()


def test_connect_tells_the_instance(transport: SsmTransport) -> None:
    transport.connect()
    assert transport.identity() == {
        "instance_id": INSTANCE, "host": "node-1", "platform": "Amazon Linux 2023", "agent": "3.3.1611.0",
        "address": "127.0.0.1",
    }  # fmt: skip


def test_delivery_timeout(ssm_server: SsmServer, agent: Agent, transport: SsmTransport) -> None:
    agent.ping = "ConnectionLost"
    with pytest.raises(ConnectError, match=r"TimedOut \(DeliveryTimedOut\): the agent did not take the command"):
        transport.run("true")


def test_execution_timeout_is_sigkill(agent: Agent, transport: SsmTransport, tmp_path: Path) -> None:
    flag = tmp_path / "trap-ran"
    with pytest.raises(ConnectError, match=r"TimedOut \(ExecutionTimedOut\): the script ran longer"):
        transport.run(f"trap 'touch {flag}' EXIT TERM; sleep 600", timeout=5)
    assert not flag.exists()


def test_cancelled(ssm_server: SsmServer, agent: Agent, transport: SsmTransport) -> None:
    def cancel() -> None:
        while not (agent.invocations and agent.invocations[-1].status == "InProgress"):
            time.sleep(0.02)
        transport.commander.cancel(agent.invocations[-1].command_id)

    threading.Thread(target=cancel, daemon=True).start()
    with pytest.raises(ConnectError, match=r"Cancelled \(Cancelled\)"):
        transport.run("sleep 600", timeout=100)


def test_agent_dies_midway(ssm_server: SsmServer, agent: Agent) -> None:
    agent.kill_after = 0.3
    lost = SsmTransport(commander(ssm_server, silence=1.0))
    with pytest.raises(ConnectError, match=r"the agent was lost while a command ran \(ConnectionLost"):
        lost.run("sleep 600", timeout=300)


def test_node_reboots_midway(ssm_server: SsmServer, agent: Agent, transport: SsmTransport) -> None:
    transport.run("cat", data=b"x")
    agent.reboot_after = 0.3
    with pytest.raises(ConnectError, match="ended as Failed with -1 and without its receipt"):
        transport.run("sleep 600", timeout=300)


def test_session_lost_by_reboot(agent: Agent, transport: SsmTransport) -> None:
    transport.run("cat", data=b"x")
    shutil.rmtree(session_of(transport))
    with pytest.raises(ConnectError, match="session on the node is gone"):
        transport.run("true")


def test_output_truncated_by_the_service(ssm_server: SsmServer, agent: Agent) -> None:
    answer = commander(ssm_server).run("head -c 50000 /dev/zero | tr '\\0' x", 30)
    assert answer.truncated
    assert len(answer.out) == 24_000
    with pytest.raises(ConnectError, match="without its receipt: SSM cut its output"):
        SsmTransport(commander(ssm_server))._receipt(answer)


def test_output_that_does_not_fit_without_a_bucket(ssm_server: SsmServer, agent: Agent) -> None:
    alone = SsmTransport(commander(ssm_server))
    try:
        with pytest.raises(NodeError, match="give an S3 destination"):
            alone.run("head -c 100000 /dev/urandom")
    finally:
        alone.close()


def test_invocation_does_not_exist_just_after_sending(ssm_server: SsmServer, transport: SsmTransport) -> None:
    ssm_server.lag = 3
    assert transport.run("echo here").out == b"here\n"
    assert ssm_server.calls.count("ssm:GetCommandInvocation") > 3


def test_throttling_is_waited_for(ssm_server: SsmServer, agent: Agent, transport: SsmTransport) -> None:
    ssm_server.throttle = 3
    assert transport.run("echo here").out == b"here\n"


@pytest.mark.parametrize("action", ["ssm:SendCommand", "ssm:GetCommandInvocation"])
def test_access_denied_names_the_action(ssm_server: SsmServer, transport: SsmTransport, action: str) -> None:
    ssm_server.deny = {action}
    with pytest.raises(AccessError, match=f"^{action} is denied on instance {INSTANCE}: allow it"):
        transport.run("true")


def test_preflight_names_the_missing_action(ssm_server: SsmServer, agent: Agent) -> None:
    sts = service_client("sts", Connection(ssm_server.region, ssm_server.endpoint))
    watched = SsmTransport(commander(ssm_server), sts=sts)
    checks = watched.check()
    assert [check.level for check in checks] == ["ok"] * len(checks)
    assert watched.identity()["caller"] == "arn:aws:iam::123456789012:user/responder"
    # no command is sent to find out whether one may be sent
    ssm_server.deny = {"ssm:SendCommand", "ssm:GetCommandInvocation"}
    assert missing_actions(watched.check()) == []
    ssm_server.deny = {"ssm:DescribeInstanceInformation"}
    assert missing_actions(watched.check()) == ["ssm:DescribeInstanceInformation"]
    ssm_server.deny = {"sts:GetCallerIdentity"}
    assert watched.check()[0].level == "fail"
    assert agent.invocations == []


def test_wrong_secret_key_is_refused(
    ssm_server: SsmServer, agent: Agent, monkeypatch: pytest.MonkeyPatch, s3: Any
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(Exception, match="InvalidSignatureException"):
        SsmTransport(commander(ssm_server)).connect()


def test_background_child_keeps_the_command_in_progress(ssm_server: SsmServer, agent: Agent) -> None:
    """The stand-in has the trap that real agents have; the transport's own children do not fall into it."""
    start = time.monotonic()
    commander(ssm_server).run("sleep 1 & echo started", 30)
    assert time.monotonic() - start > 1.0


def test_two_scripts_at_once(transport: SsmTransport) -> None:
    transport.run("cat", data=b"open")
    got: dict[int, bytes] = {}

    def one(number: int) -> None:
        got[number] = transport.run("sleep 0.3; cat", data=f"data {number}".encode()).out

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: f"data {number}".encode() for number in range(4)}


def test_tampered_envelope_is_not_run(
    transport: SsmTransport, ssm_server: SsmServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport.run("cat", data=b"open")
    monkeypatch.setattr("memir.acquire.transports.ssm.transport.hashlib", _Other())
    with pytest.raises(ConnectError, match="data did not reach the script"):
        transport.run(f"touch {tmp_path}/ran", data=b"good")
    assert not (tmp_path / "ran").exists()


class _Other:
    """Announces another hash than the data's."""

    @staticmethod
    def sha256(data: bytes) -> Any:
        return hashlib.sha256(data + b"!")
