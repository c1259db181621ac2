# SPDX-License-Identifier: Apache-2.0
"""Opening a connection to a real sshd: by its own words, by ~/.ssh/config, through a jump host; and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.acquire.transports.ssh.connect import open_client, read_config
from memir.errors import AccessError, ConnectError, UsageError
from tests.acquire.rigs.nodes import target
from tests.acquire.rigs.sshd import Sshd, free_port, keygen


def test_a_login_with_a_cipher_of_one_pass(small_sshd: Sshd) -> None:
    client, opened = open_client(target(small_sshd))
    transport = client.get_transport()
    assert transport is not None
    assert opened == [client]
    cipher = transport.remote_cipher  # type: ignore[attr-defined]  # the stubs leave it out
    assert cipher == "aes128-gcm@openssh.com"
    _, out, _ = client.exec_command("id -u")
    assert out.read() == b"0\n"
    client.close()


def test_the_configuration_names_the_node_and_its_jump_host(small_sshd: Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host bastion node\n  HostName 127.0.0.1\n  Port {small_sshd.port}\n  User root\n"
        f"  IdentityFile {small_sshd.client_key}\n  UserKnownHostsFile {small_sshd.known_hosts}\n"
        "Host node\n  ProxyJump bastion\n"
    )
    assert read_config(config).lookup("node")["proxyjump"] == "bastion"
    chosen = target(small_sshd, host="node", port=None, user=None, identity=None, known_hosts=None, config=config)
    client, opened = open_client(chosen)
    assert len(opened) == 2
    assert opened[1] is client
    _, out, _ = client.exec_command("echo $SSH_CONNECTION")
    assert out.read().split()[0] == b"127.0.0.1"
    for each in reversed(opened):
        each.close()


def test_a_jump_host_that_leads_to_itself(small_sshd: Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host loop\n  ProxyJump loop\n")
    with pytest.raises(UsageError, match="more than 8 jump hosts before loop"):
        open_client(target(small_sshd, host="loop", config=config))


def test_a_jump_host_that_cannot_reach_the_node(small_sshd: Sshd) -> None:
    jump = f"root@127.0.0.1:{small_sshd.port}"
    with pytest.raises(ConnectError, match=r"the jump host 127\.0\.0\.1 cannot reach 127\.0\.0\.1 port \d+"):
        open_client(target(small_sshd, port=free_port(), jump=jump))


def test_who_is_not_let_in(small_sshd: Sshd, tmp_path: Path) -> None:
    stranger = keygen(tmp_path / "stranger")
    with pytest.raises(AccessError, match=r"root@127\.0\.0\.1 port \d+ refuses the login .*give --identity"):
        open_client(target(small_sshd, identity=stranger))
    other = small_sshd.trust(tmp_path / "other", key=stranger)
    with pytest.raises(ConnectError, match="has CHANGED"):
        open_client(target(small_sshd, known_hosts=other))
    (tmp_path / "empty").write_text("")
    with pytest.raises(ConnectError, match="is unknown: refused"):
        open_client(target(small_sshd, known_hosts=tmp_path / "empty"))
    with pytest.raises(UsageError, match="cannot read the known hosts file"):
        open_client(target(small_sshd, known_hosts=tmp_path / "none"))
    with pytest.raises(ConnectError, match="cannot reach 127"):
        open_client(target(small_sshd, port=free_port()))


def test_a_configuration_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    # nobody has to have one
    assert read_config(None).get_hostnames() == set()
    with pytest.raises(UsageError, match="cannot read the SSH configuration"):
        read_config(tmp_path / "none")
