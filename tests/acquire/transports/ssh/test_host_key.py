# SPDX-License-Identifier: Apache-2.0
"""Unknown, changed, revoked, one of several: against a real server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from memir.acquire.transports.ssh.connect import open_client
from memir.errors import ConnectError
from tests.acquire.rigs.nodes import target
from tests.acquire.rigs.sshd import Sshd, keygen


def line(server: Sshd, pattern: str, key: Path | None = None) -> str:
    kind, body, *_ = (key or server.host_key).with_suffix(".pub").read_text().split()
    return f"{pattern} {kind} {body}\n"


def test_which_lines_are_believed(plain_sshd: Sshd, home: Path) -> None:
    known, other, name = home / "known", keygen(home / "other"), f"[127.0.0.1]:{plain_sshd.port}"

    def reach(text: str) -> None:
        known.write_text(text)
        _, opened = open_client(target(plain_sshd, known_hosts=known))
        opened[0].close()

    reach(line(plain_sshd, "[127.0.0.*]:*"))
    # any of several keys of one kind, as a host behind a balancer has them
    reach(line(plain_sshd, name, other) + line(plain_sshd, name))
    reach(line(plain_sshd, f"@revoked {name}", other) + line(plain_sshd, name))
    with pytest.raises(ConnectError, match=r"is @revoked in known_hosts: refused"):
        reach(line(plain_sshd, name) + line(plain_sshd, "@revoked *"))
    with pytest.raises(ConnectError, match=r"is unknown: refused; 1 @cert-authority lines for it are not used; 1 "):
        reach(line(plain_sshd, "@cert-authority *") + "broken line\n")
    with pytest.raises(ConnectError, match=r"is unknown: refused.*It offers ssh-ed25519 SHA256:"):
        reach(line(plain_sshd, f"[127.0.0.*]:*,!{name}"))
    with pytest.raises(ConnectError, match=r"has CHANGED \(known_hosts has 1: ssh-ed25519; offered: ssh-ed25519 SHA"):
        reach(line(plain_sshd, name, other))


def test_the_old_keys_are_taken_out_as_the_message_says(plain_sshd: Sshd, home: Path) -> None:
    known = home / ".ssh" / "known_hosts"
    known.write_text(line(plain_sshd, f"[127.0.0.1]:{plain_sshd.port}", keygen(home / "other")))
    with pytest.raises(ConnectError) as caught:
        open_client(target(plain_sshd, known_hosts=None))
    advice = str(caught.value).split("`")[1]
    assert advice.startswith("ssh-keygen -R ")
    subprocess.run(["sh", "-c", f"{advice} -f {known}"], check=True, capture_output=True)
    assert known.read_text() == ""


def test_the_kind_that_is_known_is_asked_for(home: Path) -> None:
    """A server with several keys shows the one that known_hosts has."""
    rsa = home / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(rsa)], check=True)
    with Sshd(home / "sshd", extra=(f"HostKey {rsa}",)) as server:
        known = home / "known"
        known.write_text(line(server, f"[127.0.0.1]:{server.port}", rsa))
        client, _ = open_client(target(server, known_hosts=known))
        transport = client.get_transport()
        assert transport is not None
        assert transport.get_remote_server_key().get_name() == "ssh-rsa"
        client.close()
