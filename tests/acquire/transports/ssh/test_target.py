# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from memir.acquire.transports.ssh.target import STALL, SshTarget


def test_what_is_not_said_is_left_to_the_configuration() -> None:
    target = SshTarget("node-1")
    assert (target.host, target.port, target.user, target.identity) == ("node-1", None, None, None)
    assert (target.known_hosts, target.config, target.jump) == (None, None, None)
    assert (target.agent, target.timeout, target.stall) == (True, 20.0, STALL)
