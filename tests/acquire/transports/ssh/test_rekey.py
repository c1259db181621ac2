# SPDX-License-Identifier: Apache-2.0
"""New keys in the middle of everything, whoever asks for them: nothing is lost, nothing waits for itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from memir.acquire.transports.ssh import connect as ssh_connect
from memir.acquire.transports.ssh.target import SshTarget
from memir.acquire.transports.ssh.transport import SshTransport
from tests.acquire.rigs.sshd import Sshd


@pytest.mark.parametrize("who", ["server", "client"])
def test_keys_change_all_the_time(
    who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Channels open and close while keys are exchanged every 64 KiB, as RekeyLimit of hardened servers asks for more
    rarely, and as the client itself does after much."""
    if who == "client":
        monkeypatch.setattr(ssh_connect, "REKEY", 1 << 16)
    caplog.set_level("DEBUG", "paramiko.transport")
    with Sshd(tmp_path / "ssh", extra=("RekeyLimit 64K",) if who == "server" else ()) as server:
        transport = SshTransport(
            SshTarget("127.0.0.1", port=server.port, user="root", identity=server.client_key, agent=False,
                      known_hosts=server.known_hosts, timeout=120.0)
        )  # fmt: skip
        transport.connect()
        for at in range(60):
            # many little channels whose end falls into an exchange; a thread that waits for itself does so for 30 s and
            # then ends the connection, which is an error here
            done = transport.run(f"head -c {60_000 + 200 * at} /dev/zero; exit 3", timeout=600)
            assert (done.code, len(done.out)) == (3, 60_000 + 200 * at)
        stream = transport.open_stream("head -c 20000000 /dev/zero | tr '\\0' x; exit 4")
        digest, size = hashlib.sha256(), 0
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
        assert (size, stream.wait(300).code) == (20_000_000, 4)
        assert digest.digest() == hashlib.sha256(b"x" * 20_000_000).digest()
        transport.close()
    assert sum("Switch to new keys" in record.getMessage() for record in caplog.records) > 40
