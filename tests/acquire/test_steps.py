# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from memir.acquire.sinks.file import FileSink
from memir.acquire.steps import ISOLATE, make_plan
from memir.acquire.tools.avml import Avml
from memir.acquire.tools.base import ToolFile
from memir.acquire.transports.local import LocalTransport

TOOL = Avml(ToolFile(Path("avml"), "avml", "ab" * 32, 1234567), "x86_64", "lime")


def test_every_change_on_the_node_is_said_and_undone() -> None:
    plan = make_plan(LocalTransport(), TOOL, FileSink(Path("/ev")), grace=30)
    assert [step.what for step in plan.steps if step.changes] == [
        "make a private directory on tmpfs, take the lock, start a watchdog",
        f"put avml (1,234,567 bytes, SHA-256 {'ab' * 32}) there and compare its hash on the node",
        "run avml into a FIFO; the stream is never a file on the node",
        "stop what runs, unload and remove everything, release the lock",
    ]
    assert plan.steps[0].what == "run scripts as root on this machine"
    assert plan.steps[-1].where == "controller"
    assert "write the image to /ev, sync it, read it back" in [step.what for step in plan.steps]
    assert plan.warnings == ()
    gone = [trace for trace in plan.traces if not trace.stays]
    assert [trace.where for trace in gone] == ["memory file system"]
    assert "removed at the end or 30 s after a loss" in gone[0].what


def test_the_cluster_is_asked_before_the_end() -> None:
    plan = make_plan(LocalTransport(), TOOL, FileSink(Path("/ev")), grace=30, cluster=True, isolating=True)
    assert [step.where for step in plan.steps[-2:]] == ["kubernetes", "controller"]
    assert plan.warnings == (ISOLATE,)
