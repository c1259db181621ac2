# SPDX-License-Identifier: Apache-2.0
"""A capture goes on while nobody is connected, and its end is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.acquire.attach import TRY, run_to_end, wait_for_end
from memir.acquire.facts import NodeRun
from memir.acquire.scripts import capture_script, parse_receipt
from memir.acquire.transports.base import Result, Script
from memir.acquire.transports.local import LocalTransport
from memir.errors import ConnectError, NodeError

# holds the FIFO from its first moment, as AVML does
TOOL = "exec 9>stream; sleep 0.4; printf abc >&9"


class Lossy(LocalTransport):
    """Loses the connection as soon as the capture runs, then `fails` times more."""

    fails = connected = 0

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        if isinstance(script, Script) and script.helper[0] == "capture":
            self._start(script, data)
            raise ConnectError("broken pipe")
        if self.fails:
            self.fails -= 1
            raise NodeError("not there yet")
        return super().run(script, data=data, timeout=timeout, limit=limit)

    def reconnect(self) -> None:
        self.connected += 1


def start(transport: LocalTransport, folder: Path) -> Result:
    run = NodeRun("r", str(folder))
    return run_to_end(transport, run, capture_script(run, TOOL, 'cat > "$DIR/out"', nice=0), 20)


def test_a_connection_that_holds(tmp_path: Path) -> None:
    result = start(LocalTransport(), tmp_path)
    receipt = parse_receipt(result.err)
    assert receipt is not None
    assert (result.code, receipt.tool, receipt.consumer) == (0, 0, 0)
    assert (tmp_path / "out").read_bytes() == b"abc"


def test_a_lost_connection_costs_nothing(tmp_path: Path) -> None:
    lossy = Lossy()
    lossy.fails = 1
    result = start(lossy, tmp_path)
    receipt = parse_receipt(result.err)
    assert receipt is not None
    assert (result.code, receipt.tool, receipt.consumer) == (0, 0, 0)
    assert (tmp_path / "out").read_bytes() == b"abc"
    # once for the loss, once more as that did not help
    assert lossy.connected >= 2
    assert (tmp_path / "alive").exists()


def test_what_is_no_longer_there(tmp_path: Path) -> None:
    run = NodeRun("r", str(tmp_path / "none"))
    with pytest.raises(ConnectError, match=r"^the run is no longer on the node: it was started anew"):
        wait_for_end(LocalTransport(), run)
    with pytest.raises(ConnectError, match=r"^the connection was lost in the capture; the run is no longer on"):
        run_to_end(LocalTransport(), run, "kill -s KILL $$", 10)
    with pytest.raises(ConnectError, match="never came to its capture"):
        wait_for_end(LocalTransport(), NodeRun("r", str(tmp_path)))


def test_a_node_that_is_not_reached_in_time_gives_the_first_loss(tmp_path: Path) -> None:
    lossy = Lossy()
    lossy.fails = 1000
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    run = NodeRun("r", str(tmp_path), grace=60)
    with pytest.raises(ConnectError, match=r"^pulled out$"):
        wait_for_end(lossy, run, ConnectError("pulled out"), sleep, lambda: now[0])
    assert 60 * TRY < now[0] < 60 * TRY + 16
    assert lossy.connected == 1000 - lossy.fails
