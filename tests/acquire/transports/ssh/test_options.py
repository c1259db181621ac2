# SPDX-License-Identifier: Apache-2.0
"""`memir acquire ssh`."""

from __future__ import annotations

from memir.acquire.settings import Shared
from memir.acquire.transports.ssh.options import SshOptions
from memir.acquire.transports.ssh.transport import SshTransport


def test_hosts_and_users() -> None:
    own = SshOptions(["kim@a", "b"], port=2222, jump="gate")
    own.check(Shared())
    assert (own.names(Shared()), own.node_hash()) == (["kim@a", "b"], True)
    transport = own.transport("kim@a", Shared())
    assert isinstance(transport, SshTransport)
    target = transport.target
    assert (target.host, target.user, target.port, target.jump) == ("a", "kim", 2222, "gate")
    other = SshOptions(["x"], user="root", no_node_hash=True)
    named = other.transport("kim@a", Shared())
    assert isinstance(named, SshTransport)
    assert (named.target.user, other.node_hash()) == ("root", False)
