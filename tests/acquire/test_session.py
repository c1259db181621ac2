# SPDX-License-Identifier: Apache-2.0
"""A run's stay on the node: its lock is root's, or it is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.session import NodeSession
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.local import LocalTransport
from tests.acquire.rigs.noderig import NodeRig


def plant(node: NodeRig) -> Path:
    """What any user of the node can do in /dev/shm."""
    lock = node.root / "dev/shm/.memir-lock"
    lock.mkdir()
    (lock / "pid").write_text("1\n")
    (lock / "run").write_text("20261128-000000-aaaaaaaa\n")
    for path in (lock, lock / "pid", lock / "run"):
        os.chown(path, 1234, 1234)
    return lock


def test_a_lock_that_a_user_planted_does_not_stop_a_run(small_node: NodeRig, tmp_path: Path, avml: Path) -> None:
    plant(small_node)
    run = Acquisition(
        LocalTransport(small_node.root), FileSink(tmp_path / "ev"), tmp_path / "ev",
        Options(tool_path=avml, format="lime", grace=5, context=False),
    )  # fmt: skip
    receipt = run.execute()
    assert receipt["status"] == "complete"
    assert "user 1234 had put a lock of memir's name there" in str(receipt["notes"])
    assert small_node.left() == []
    manifest = [json.loads(line) for line in (tmp_path / "ev/manifest.jsonl").read_bytes().splitlines()]
    assert [record["where"] for record in manifest if record["event"] == "problem"] == ["lock"]


def test_a_session_begins_and_ends(small_node: NodeRig) -> None:
    session = NodeSession(LocalTransport(small_node.root), "20261128-000000-bbbbbbbb", 5)
    session.start(1 << 20)
    assert (session.planted, session.stale) == ("", "")
    assert (small_node.root / session.run.directory.lstrip("/")).is_dir()
    assert session.finish() == []
    assert small_node.left() == []
