# SPDX-License-Identifier: Apache-2.0
"""`memir acquire ssh`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memir.acquire.settings import Shared, argument, option

if TYPE_CHECKING:
    from memir.acquire.transports.base import Transport


@dataclass
class SshOptions:
    """Over SSH: configuration, jump hosts and agent as ssh uses them; unknown host keys are refused."""

    hosts: list[str] = argument("user@host, host:port, [::1]:port, or a name of ~/.ssh/config.", "HOST...")
    port: int | None = option(None, "Instead of 22 or the configuration's.", "--port", "-p", minimum=1, maximum=65535)
    user: str | None = option(None, "root, or one with sudo without a password.", "--user", "-l")
    identity: Path | None = option(None, "The one key: a file, or a .pub of the agent's.", "--identity", "-i")
    known_hosts: Path | None = option(None, "Instead of ~/.ssh/known_hosts.")
    ssh_config: Path | None = option(None, "Instead of ~/.ssh/config.", "--ssh-config", "-F")
    jump: str | None = option(None, "[user@]host[:port],... to go through.", "--jump", "-J")
    no_node_hash: bool = option(False, "Do not hash the stream on the node as well.")

    def node_hash(self) -> bool:
        """Unless it was forbidden."""
        return not self.no_node_hash

    def check(self, shared: Shared) -> None:
        """Nothing contradicts."""

    def names(self, shared: Shared) -> list[str]:
        """The hosts."""
        del shared
        return list(self.hosts)

    def transport(self, name: str, shared: Shared) -> Transport:
        """One connection."""
        from memir.acquire.transports.ssh.address import parse_address
        from memir.acquire.transports.ssh.target import SshTarget
        from memir.acquire.transports.ssh.transport import SshTransport

        del shared
        address = parse_address(name)
        target = SshTarget(
            address.host, port=self.port or address.port, user=self.user or address.user, identity=self.identity,
            known_hosts=self.known_hosts, config=self.ssh_config, jump=self.jump,
        )  # fmt: skip
        return SshTransport(target)

    def offline(self, name: str, shared: Shared) -> Transport:
        """It asks nobody until it connects."""
        return self.transport(name, shared)
