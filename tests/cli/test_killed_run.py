# SPDX-License-Identifier: Apache-2.0
"""A controller that is killed in the middle: the node cleans up within --grace, `memir acquire close` ends the run as
the message says, and what arrived is analysed. The node's RAM is a sample's; the AVML is the real one.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.acquire.rigs.noderig import MIB, Segment
from tests.acquire.rigs.nodes import MakeNode
from tests.cli.advice import advised
from tests.cli.conftest import Memir
from tests.images import ROOT
from tests.kernel.accounts import raw

X86 = "s-6.1-small"
GRACE = 5
SIZE = 130 * MIB
"""Of 143 MiB: AVML leaves out blocks of zeros."""


def killed(words: list[str], folder: Path, size: int) -> float:
    """Run memir and kill it when `size` bytes of the image have arrived; when that was, by the monotonic clock."""
    process = subprocess.Popen(
        [sys.executable, "-m", "memir", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    image, end = folder / "image.lime.partial", time.monotonic() + 120
    while not image.exists() or image.stat().st_size < size:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    process.stderr.close()
    return time.monotonic()


def test_a_killed_run_is_closed_and_what_arrived_is_analysed(
    make_node: MakeNode, avml: Path, memir: Memir, tmp_path: Path
) -> None:
    data = raw(X86)
    node = make_node(Segment(0x1000, data[0x1000:0x9F000]), Segment(0x100000, data[0x100000:0xBFE0000]))
    folder = tmp_path / "kim's evidence"
    words = ["acquire", "local", "--root", str(node.root), "--tool-path", str(avml), "--format", "lime", "--no-context"]
    dead = killed([*words, "--limit-rate", "30M", "--grace", str(GRACE), "-o", str(folder)], folder, SIZE)
    assert node.left() != []
    # nobody reaches the node any more: its own watchdog ends the tool and removes the run
    while node.left() or node.processes():
        assert time.monotonic() < dead + GRACE + 60, (node.left(), node.processes())
        time.sleep(0.1)
    assert time.monotonic() > dead + GRACE / 2
    ran = memir("verify", folder)
    assert ran.code == 3
    assert "the run did not end" in ran.out + ran.err
    told = memir("analyze", folder)
    assert told.code == 3
    assert advised(told.err, "memir acquire close")[3:] == [str(folder)]
    memir(*advised(ran.out + ran.err, "memir acquire close", FOLDER=folder)[1:])
    receipt = json.loads((folder / "receipt.json").read_bytes())
    # a write that the kill cut ends at any page, that of SIZE too
    arrived = (folder / "image.lime.partial").stat().st_size
    assert arrived >= SIZE
    assert (receipt["status"], receipt["image"]["size"]) == ("interrupted", arrived)
    assert receipt["left_on_node"] == ["not asked; the watchdog removes the run when its grace is over"]
    assert memir("verify", folder).code == 4
    again = memir("acquire", "close", folder)
    assert (again.code, again.err) == (
        2, f"memir: {folder}: that run has ended; look with `memir verify {shlex.quote(str(folder))}`\n"
    )  # fmt: skip
    assert memir(*advised(again.err, "memir verify")[1:]).code == 4
    ran = memir("analyze", folder, "-o", tmp_path / "case")
    assert ran.code == 3, ran.err
    assert "% of the node's RAM is in the image" in ran.out
    rows = memir("query", tmp_path / "case", "select pod_name from pods order by 1", "--csv").out.splitlines()[1:]
    assert rows == ["agent-x9z2k", "miner-0", "web-7d4b9c6f5-abcde"]
    resumed = memir(*words, "--resume", folder)
    assert (resumed.code, (folder / "image.lime.partial").exists()) == (2, True)
