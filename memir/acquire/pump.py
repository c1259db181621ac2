# SPDX-License-Identifier: Apache-2.0
"""Between the transport and the sink: a worker thread, so that receiving and storing go on at the same time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from memir.errors import MemirError

BLOCK = 1 << 20
AHEAD = 8


class Pump:
    """Collects what arrives into blocks of 1 MiB and has a thread `store` them; at most 10 MiB are held.

    Blocks are large because every hand-over between threads costs more than hashing a few KiB.
    """

    def __init__(self, store: Callable[[bytes], None]) -> None:
        self._store = store
        self._queue: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        self._held: list[bytes] = []
        self._size = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        """Take bytes; waits when the sink is slower. Raises what `store` raised."""
        self._held.append(data)
        self._size += len(data)
        if self._size >= BLOCK:
            self._send()

    def finish(self) -> None:
        """Store what is held and wait. Raises what `store` raised."""
        try:
            self._send()
        finally:
            self.stop()
        self._raise()

    def stop(self) -> None:
        """Store what was received, and end the thread; safe to call twice, raises nothing."""
        if self._thread.is_alive():
            if self._held and self._error is None:
                self._queue.put(self._taken())
            self._queue.put(None)
            self._thread.join()

    def _send(self) -> None:
        self._raise()
        if self._held:
            self._queue.put(self._taken())

    def _taken(self) -> bytes:
        # a block that came in one piece is not copied
        block = b"".join(self._held)
        self._held.clear()
        self._size = 0
        return block

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (block := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._store(block)
                except (MemirError, OSError) as error:
                    # keeps taking, so that the other side never waits for a place in the queue
                    self._error = error
