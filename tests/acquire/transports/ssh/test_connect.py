# SPDX-License-Identifier: Apache-2.0
"""Opening a connection to a real sshd: by its own words, by ~/.ssh/config, through a jump host; and refusals."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from memir.acquire.settings import Shared
from memir.acquire.transports.ssh.config import SshConfig
from memir.acquire.transports.ssh.connect import open_client
from memir.acquire.transports.ssh.options import SshOptions
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
    assert SshConfig(config).lookup("node").get("proxyjump") == "bastion"
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


def _hang_up(server: socket.socket) -> None:
    server.accept()[0].close()


@pytest.mark.parametrize(
    ("silent", "told"),
    [(True, "no SSH server answered for 1 s"), (False, "the connection was closed before an SSH server answered")],
)
def test_a_port_of_something_else(small_sshd: Sshd, silent: bool, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not silent:
            threading.Thread(target=_hang_up, args=(server,), daemon=True).start()
        with pytest.raises(ConnectError, match=f"^SSH with 127.0.0.1 port {port} failed: {told}$"):
            open_client(target(small_sshd, port=port, timeout=1.0 if silent else 20.0))


def test_who_is_not_let_in(small_sshd: Sshd, tmp_path: Path) -> None:
    stranger = keygen(tmp_path / "stranger")
    with pytest.raises(AccessError, match=r"root@127\.0\.0\.1 port \d+ refuses every key .*Give --identity"):
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


def test_ipv6_addresses_and_jump_hosts(plain_sshd: Sshd, home: Path) -> None:
    known, port = home / "known", plain_sshd.port
    kind, body, *_ = plain_sshd.host_key.with_suffix(".pub").read_text().split()
    known.write_text(f"[::1]:{port},[127.0.0.1]:{port} {kind} {body}\n")
    for name in (f"root@[::1]:{port}", f"ssh://root@[::1]:{port}"):
        own = SshOptions([name], identity=plain_sshd.client_key, known_hosts=known)
        transport = own.transport(name, Shared())
        transport.connect()
        assert transport.identity()["address"] == f"[::1]:{port}"
        transport.close()
    # through the one to the other, as -J and as ProxyJump of an included file
    client, opened = open_client(target(plain_sshd, known_hosts=known, jump=f"root@[::1]:{port}"))
    _, out, _ = client.exec_command("echo $SSH_CONNECTION")
    assert (out.read().split()[2], len(opened)) == (b"127.0.0.1", 2)
    for each in reversed(opened):
        each.close()
    (home / ".ssh" / "more").write_text(f"ProxyJump root@[::1]:{port}\nHostName 127.0.0.1\nUser root\n")
    (home / ".ssh" / "config").write_text("Host n?de\n  Include more\n")
    chosen = target(plain_sshd, host="node", user=None, known_hosts=known)
    client, opened = open_client(chosen)
    assert len(opened) == 2
    for each in reversed(opened):
        each.close()


RELAY = "bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'"


def test_a_proxy_command(plain_sshd: Sshd, home: Path) -> None:
    config = home / "config"
    config.write_text(f"Host node\n  HostName 127.0.0.1\n  ProxyCommand {RELAY}\n")
    client, _ = open_client(target(plain_sshd, host="node", config=config))
    _, out, _ = client.exec_command("id -u")
    assert out.read() == b"0\n"
    client.close()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("no-such-program %h", "ProxyCommand ended with exit code 127: .*no-such-program: (command )?not found"),
        ("sh -c 'echo The SSO session has expired >&2; exit 255'",
         "ProxyCommand ended with exit code 255: The SSO session has expired$"),
        ("true", "ProxyCommand ended with exit code 0: it wrote nothing to its standard error$"),
    ],
)  # fmt: skip
def test_a_proxy_command_that_fails(plain_sshd: Sshd, home: Path, command: str, told: str) -> None:
    config = home / "config"
    config.write_text(f"Host node\n  HostName 127.0.0.1\n  ProxyCommand {command}\n")
    with pytest.raises(ConnectError, match=f"^SSH with 127.0.0.1 port {plain_sshd.port} failed: {told}"):
        open_client(target(plain_sshd, host="node", config=config))
