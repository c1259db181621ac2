# SPDX-License-Identifier: Apache-2.0
"""Going on with a capture that sends by itself: the connection was lost, or the controller that began it is gone.

The tool and the uploader run in sessions of their own on the node. As long as its watchdog is fed (every stored part
feeds it) they go on, and wait for URLs. So a lost connection is made again, and the capture's end is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from memir.acquire.facts import NodeRun
from memir.acquire.scripts import GOES_ON, GONE, NEVER_BEGAN, attach_script
from memir.acquire.transports.base import Result, Transport
from memir.errors import ConnectError, NodeError

TRY = 0.8
"""How much of the watchdog's grace is spent on connecting again: later there is nothing left to go on with."""


def run_to_end(transport: Transport, run: NodeRun, script: str, timeout: float) -> Result:
    """Run the capture script; where its connection is lost, connect again and wait for the capture's end.

    Raises the loss (ConnectError) when the node was not reached again in time, or no longer has the run.
    """
    try:
        result = transport.run(script, timeout=timeout)
    except ConnectError as error:
        return wait_for_end(transport, run, error)
    if result.code is None:
        return wait_for_end(transport, run, ConnectError("the connection was lost in the capture"))
    return result


def wait_for_end(
    transport: Transport, run: NodeRun, lost: ConnectError | None = None,
    sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic,
) -> Result:  # fmt: skip
    """Wait for the end of a capture that runs on the node. lost: why the connection has to be made again first."""
    script = attach_script(run)
    end, pause, first = clock() + run.grace * TRY, 0.5, lost
    while True:
        try:
            if lost is not None:
                transport.reconnect()
            result = _known(transport.run(script, timeout=90))
        except (ConnectError, NodeError) as error:
            lost = error if isinstance(error, ConnectError) else ConnectError(str(error))
            first = first or lost
            if clock() > end:
                raise first from error
            sleep(pause)
            pause = min(15.0, pause * 2)
            continue
        if result.code == GONE:
            why = "the run is no longer on the node: it was started anew, or its watchdog has cleaned up"
            raise ConnectError(f"{first}; {why}" if first else why)
        if result.code == NEVER_BEGAN:
            raise ConnectError("the run on the node never came to its capture")
        if result.code != GOES_ON:
            return result
        lost, first, end, pause = None, None, clock() + run.grace * TRY, 0.5


def _known(result: Result) -> Result:
    if result.code is None:
        raise ConnectError("the connection was lost while the capture's end was waited for")
    return result
