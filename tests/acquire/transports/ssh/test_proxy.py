# SPDX-License-Identifier: Apache-2.0
"""A ProxyCommand as a socket: what goes through, and each way in which it ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from memir.acquire.transports.ssh.connect import open_client
from memir.acquire.transports.ssh.proxy import LAST, ProxyCommand
from memir.errors import ConnectError
from tests.acquire.rigs.nodes import target
from tests.acquire.rigs.sshd import Sshd


def test_bytes_go_through_both_ways() -> None:
    proxy = ProxyCommand("cat")
    proxy.settimeout(20.0)
    assert proxy.send(b"one line\n") == 9
    assert proxy.recv(4) == b"one "
    assert proxy.recv(1 << 16) == b"line\n"
    proxy.settimeout(0.05)
    with pytest.raises(TimeoutError):
        proxy.recv(1)
    assert not proxy._closed
    proxy.close()
    assert proxy._closed
    assert proxy.last_words() == ""
    proxy.close()


def test_a_command_that_takes_nothing_more() -> None:
    """Its pipe is full: paramiko is told to try again, rather than kept in a write that no time ends."""
    proxy = ProxyCommand("sleep 60")
    proxy.settimeout(0.05)
    with pytest.raises(TimeoutError):
        for _ in range(64):
            proxy.send(bytes(1 << 16))
    proxy.close()


def test_its_end_is_an_end_and_not_silence() -> None:
    proxy = ProxyCommand("sh -c 'echo Connection refused by the bastion >&2; exit 3'")
    proxy.settimeout(None)
    assert proxy.recv(100) == b""
    why = "ProxyCommand ended with exit code 3: Connection refused by the bastion"
    assert proxy.last_words() == why
    with pytest.raises(BrokenPipeError):
        proxy.send(b"x")
    proxy.close()
    assert proxy.last_words() == why


def test_much_on_its_standard_error_does_not_stop_it() -> None:
    told = f"yes debug | head -c {40 * LAST}; echo; echo the last line"
    proxy = ProxyCommand(f"sh -c '({told}) >&2; echo through; exit 1'")
    proxy.settimeout(20.0)
    assert proxy.recv(100) == b"through\n"
    assert proxy.recv(100) == b""
    assert proxy.last_words() == "ProxyCommand ended with exit code 1: the last line"


def test_a_child_of_the_command_that_has_its_streams_open_still() -> None:
    proxy = ProxyCommand("sh -c 'sleep 20 & echo $!; exit 4'")
    child = int(proxy.recv(100))
    assert proxy.last_words() == "ProxyCommand ended with exit code 4: it wrote nothing to its standard error"
    os.kill(child, signal.SIGKILL)


def test_a_command_that_does_not_heed_its_end() -> None:
    proxy = ProxyCommand("sh -c 'trap \"\" TERM; echo ready; sleep 60; sleep 60'")
    assert proxy.recv(100) == b"ready\n"
    proxy.close()
    assert proxy._process.wait(20) == -signal.SIGKILL


def test_a_command_that_says_nothing_is_not_said_to_have_ended(plain_sshd: Sshd, home: Path) -> None:
    config = home / "config"
    config.write_text("Host node\n  HostName 127.0.0.1\n  ProxyCommand sleep 60\n")
    with pytest.raises(ConnectError, match=r"failed: no SSH server answered for 1 s$"):
        open_client(target(plain_sshd, host="node", config=config, timeout=1.0))


def test_a_connection_ends_with_its_command(plain_sshd: Sshd, home: Path) -> None:
    """At once, and not at the next keepalive, with a processor busy until then."""
    config, pids = home / "config", home / "pids"
    relay = f"bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & echo $$ $! > {pids}; exec cat >&3'"
    config.write_text(f"Host node\n  HostName 127.0.0.1\n  ProxyCommand {relay}\n")
    client, _ = open_client(target(plain_sshd, host="node", config=config))
    transport = client.get_transport()
    assert transport is not None
    _, out, _ = client.exec_command("head -c 5000000 /dev/zero; sleep 60")
    assert out.read(5_000_000) == bytes(5_000_000)
    transport.set_keepalive(0)
    busy = time.process_time()
    for pid in pids.read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    assert out.read() == b""
    assert time.process_time() - busy < 1
    client.close()
