# SPDX-License-Identifier: Apache-2.0
"""Servers with MaxSessions: one session at a time on a connection is enough, none is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.acquire.transports.ssh.transport import SshTransport
from memir.errors import ConnectError
from memir.evidence.verify import verify
from tests.acquire.rigs.noderig import MIB
from tests.acquire.rigs.nodes import reach
from tests.acquire.rigs.sshd import Sshd
from tests.acquire.transports.ssh.test_transport import acquisition


def strict(server: Sshd, sessions: int) -> None:
    """Start again with MaxSessions."""
    config = server.folder / "sshd_config"
    config.write_text(config.read_text().replace("MaxSessions 100", f"MaxSessions {sessions}"))
    server.stop()
    server.start()


def test_one_session_at_a_time(tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd") as server:
        strict(server, 1)
        transport = reach(server)
        transport.connect()
        for number in range(20):
            assert transport.run(f"echo {number}").text == f"{number}\n"
        # scripts one after the other need no second connection
        assert len(transport.connections.groups) == 1
        stream = transport.open_stream("head -c 1000000 /dev/zero; cat > /dev/null; exit 3")
        assert transport.run("echo beside").text == "beside\n"
        assert transport.run("echo again").text == "again\n"
        assert len(transport.connections.groups) == 2
        size = 0
        while chunk := stream.read(1 << 16):
            size += len(chunk)
        assert (size, stream.wait(60).code) == (1_000_000, 3)
        transport.close()
        with pytest.raises(ConnectError, match="is gone"):
            transport.run("true")


def test_no_session_at_all_is_told(tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd") as server:
        strict(server, 0)
        transport = SshTransport(reach(server, timeout=3.0).target)
        with pytest.raises(ConnectError, match=r"logs in but gives no session \(.*\), on 1 connections: look"):
            transport.connect()
        transport.close()


def test_a_whole_run_with_one_session(sshd: Sshd, tmp_path: Path, avml: Path) -> None:
    strict(sshd, 1)
    # slow enough that the watchdog is told in the middle of the stream, which takes the second connection
    run = acquisition(sshd, tmp_path / "ev", avml, limit_rate=4 * MIB)
    assert run.execute()["status"] == "complete"
    assert verify(tmp_path / "ev").complete
    assert sshd.log().count("Accepted publickey") == 2
