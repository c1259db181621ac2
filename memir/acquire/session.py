# SPDX-License-Identifier: Apache-2.0
"""One run's stay on the node.

Its directory, lock, watchdog and heartbeat; put tools, take everything away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from memir.acquire.facts import NodeRun
from memir.acquire.scripts import cleanup_script, hash_script, parse_pairs, setup_script, touch_script
from memir.acquire.tools.base import Tool
from memir.acquire.transports.base import Transport
from memir.errors import ConnectError, NodeError, RemoteError

GRACE = 300  # seconds: that the node's watchdog waits for a controller that was cut off
SPARE_TMPFS = 64 << 20
TRIES = 3


class NodeSession:
    """What a run has on the node from `start` to `finish`."""

    def __init__(self, transport: Transport, run_id: str, grace: int = GRACE) -> None:
        self.transport, self.run_id, self.grace = transport, run_id, grace
        self.run = NodeRun(run_id, "", grace)
        self.mounted, self.stale = False, ""
        self.planted = ""
        """The user id that had put a lock of our name on the node, "" if nobody had."""
        self.begun = False

    def start(self, need: int) -> None:
        """Take the lock and make the directory; `need` is its size in bytes if a tmpfs has to be mounted.

        Raises NodeError when another run holds the lock, or nothing can be written in memory.
        """
        poll = max(1, min(5, self.grace // 3))
        script = setup_script(self.run_id, grace=self.grace, poll=poll, need=need)
        self.begun = True
        result = self.transport.run(script, timeout=60)
        answer = parse_pairs(result)
        if result.code in {73, 74, 75}:
            self.begun = False
        if result.code == 75:
            raise NodeError(f"another run is going on on this node ({result.error.strip()}): wait until it ends")
        if result.code != 0 or not answer.get("dir", "").endswith(self.run_id):
            why = result.error.strip() or f"exit code {result.code}"
            raise NodeError(f"the node has no place in memory for the tool: {why}")
        self.run = NodeRun(self.run_id, answer["dir"], self.grace)
        self.mounted = answer.get("mounted") == "1"
        self.stale = answer.get("stale", "")
        self.planted = answer.get("planted", "")

    def adopt(self, directory: str, grace: int) -> None:
        """Take over a run that another controller began."""
        self.grace = grace
        self.run = NodeRun(self.run_id, directory, grace)
        self.begun = True

    def put_tool(self, tool: Tool) -> None:
        """Put the tool's files, check each hash on the node, ask the tool what it understands."""
        for file in tool.files:
            path = self.run.path(file.name)
            self.transport.put(path, file.source, mode=file.mode)
            result = self.transport.run(hash_script(path), timeout=60)
            digest = result.text[:64]
            if result.code != 0 or digest != file.sha256:
                why = f"SHA-256 {digest or result.error.strip()} instead of {file.sha256}"
                raise NodeError(f"{file.source} arrived on the node with {why}: it was not run")
        if undo := tool.cleanup(self.run):
            self.transport.put(self.run.path("undo.sh"), undo.encode())
        if probe := tool.probe(self.run):
            tool.learn(self.transport.run(probe, timeout=60))

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Touch the run's `alive` file until the block ends.

        A failed touch is no error, the stream will tell.
        """
        stop = threading.Event()
        pulse = touch_script(self.run.alive)

        def beat() -> None:
            while not stop.wait(self.grace / 4):
                with suppress(RemoteError):
                    self.transport.run(pulse, timeout=max(5.0, self.grace / 2))

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(5)

    def finish(self, sleep: Callable[[float], None] = time.sleep) -> list[str]:
        """Remove everything; connects again if the connection was lost.

        Returns what is still there, in words (empty: nothing). Raises nothing: a node that cannot be reached
        is left to its watchdog, and that is said.
        """
        if not self.begun:
            return []
        script = cleanup_script(self.run_id)
        why = ""
        for attempt in range(TRIES):
            try:
                result = self.transport.run(script, timeout=60)
                if result.code is None:
                    raise ConnectError("the connection was lost")
                left = result.text.partition("left=")[2].split()
                self.begun = bool(left)
                return [f"{path} could not be removed" for path in left]
            except RemoteError as error:
                why = str(error)
                if attempt + 1 < TRIES:
                    sleep(0.2 * 4**attempt)
                    with suppress(RemoteError):
                        self.transport.reconnect()
        where = self.run.directory or f"run {self.run_id} on tmpfs, if it began"
        return [f"{where}: the node cannot be reached ({why}); its watchdog removes it in {self.grace} s"]
