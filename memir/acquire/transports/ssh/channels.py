# SPDX-License-Identifier: Apache-2.0
"""Channels for scripts: on the first connection, or on another where the server allows too few a connection.

sshd's MaxSessions may be 1; memir needs two at a time: the stream, and the script that tells the node's watchdog that
somebody is still there.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from memir.acquire.transports.ssh.connect import open_client
from memir.errors import ConnectError

if TYPE_CHECKING:
    import paramiko

    from memir.acquire.transports.ssh.target import SshTarget

MAX_CONNECTIONS = 4
WINDOW = 1 << 22
"""Enough for 40 MB/s at 100 ms; paramiko moves what is buffered at every read, so more is slower on a short way."""
PACKET = 1 << 15


class Connections:
    """The connections to one host, outermost jump host first in each; the first one is made by `connect`."""

    def __init__(
        self, target: SshTarget, opener: Callable[[SshTarget], tuple[paramiko.SSHClient, list[paramiko.SSHClient]]]
        = open_client,
    ) -> None:  # fmt: skip
        self.target, self.opener = target, opener
        self.groups: list[list[paramiko.SSHClient]] = []
        self.lock = threading.Lock()

    def connect(self) -> paramiko.SSHClient:
        """Open a connection. Raises as open_client does."""
        client, opened = self.opener(self.target)
        self.groups.append(opened)
        return client

    def first(self) -> paramiko.Transport:
        """The first connection's transport. Raises ConnectError when it is gone."""
        transport = self.groups[0][-1].get_transport() if self.groups else None
        if transport is None or not transport.is_active():
            raise ConnectError(f"the connection to {self.target.host} is gone")
        return transport

    def open_session(self) -> paramiko.Channel:
        """A channel for a script.

        Raises ConnectError when the first connection is gone, or when the server gives no session on any; paramiko's
        SSHException, OSError or EOFError when a connection breaks.
        """
        import paramiko

        self.first()
        with self.lock:
            end = time.monotonic() + self.target.timeout
            while True:
                for group in list(self.groups):
                    transport = group[-1].get_transport()
                    if transport is None or not transport.is_active():
                        continue
                    try:
                        return transport.open_session(
                            window_size=WINDOW, max_packet_size=PACKET, timeout=self.target.timeout
                        )
                    except paramiko.ChannelException as error:
                        refusal = error
                if len(self.groups) < MAX_CONNECTIONS and any(self._busy(group) for group in self.groups):
                    self.connect()
                    continue
                # the session that just ended may not be counted off yet
                if time.monotonic() > end:
                    raise ConnectError(
                        f"{self.target.host} logs in but gives no session ({refusal.text}), on "
                        f"{len(self.groups)} connections: look at MaxSessions in its sshd_config (1 is enough)"
                    ) from refusal
                time.sleep(0.1)

    @staticmethod
    def _busy(group: list[paramiko.SSHClient]) -> bool:
        """Whether memir itself has a session there, which is why another is refused."""
        transport = group[-1].get_transport()
        channels = getattr(transport, "_channels", None)
        return transport is not None and transport.is_active() and channels is not None and len(channels) > 0

    def close(self) -> None:
        """Close all of them, innermost first."""
        for group in self.groups:
            for client in reversed(group):
                with contextlib.suppress(OSError, EOFError):
                    client.close()
        self.groups = []
