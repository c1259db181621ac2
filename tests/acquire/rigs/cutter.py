# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that cuts connections after a chosen number of bytes, in either direction."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Cutter:
    """Forwards to 127.0.0.1:`to`. budget: bytes, both directions together, until every connection is cut.

    dead: refuse what comes after the cut, as a node that is gone does. mode: `reset` (RST), `close` (FIN), or
    `stall` (nothing moves any more, the connection stands). patience: seconds for `to` to accept.
    """

    to: int
    budget: int | None = None
    dead: bool = False
    mode: str = "reset"
    patience: float = 5.0
    moved: int = 0
    cut: bool = False
    _links: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Cutter:
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._drop()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self.cut and self.dead:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.to), self.patience)
            except OSError:
                client.close()
                continue
            # the patience is for connecting alone: a server that is silent for longer under load is not cut for it
            server.settimeout(None)
            self._links += [client, server]
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        doomed = not self.cut
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                with self._lock:
                    left = None if self.budget is None or self.cut else self.budget - self.moved
                    if left is not None and len(data) >= left:
                        target.sendall(data[:left])
                        self.moved += left
                        self.cut = True
                        self._drop()
                        return
                    self.moved += len(data)
                if self.cut and doomed and self.mode == "stall":
                    time.sleep(60)
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self.mode == "stall":
            return
        for link in self._links:
            with contextlib.suppress(OSError):
                if self.mode == "reset":
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                # close alone sends nothing while the other direction's thread waits in recv
                link.shutdown(socket.SHUT_RDWR)
                link.close()
        self._links.clear()
