# SPDX-License-Identifier: Apache-2.0
"""A run's stay on a node in a chroot: everything is there while it lasts, nothing afterwards; its lock is root's."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.session import TRIES, NodeSession
from memir.acquire.sinks.file import FileSink
from memir.acquire.tools.avml import Avml
from memir.acquire.tools.base import ToolFile
from memir.acquire.tools.store import describe
from memir.acquire.transports.base import Result
from memir.acquire.transports.local import LocalTransport
from memir.errors import ConnectError, NodeError
from tests.acquire.rigs.noderig import NodeRig

RUN = "20260101-000000-abcd"


@pytest.fixture
def session(small_node: NodeRig) -> Iterator[NodeSession]:
    made = NodeSession(LocalTransport(small_node.root), RUN, grace=20)
    made.start(1 << 20)
    yield made
    assert made.finish() == []


def tool(program: Path, sha256: str = "") -> Avml:
    pinned = describe(program.read_bytes(), program)
    return Avml(ToolFile(program, "avml", sha256 or pinned.sha256, pinned.size), pinned.machine, "lime")


def test_what_a_run_has_on_the_node(session: NodeSession, small_node: NodeRig) -> None:
    assert session.run.directory == f"/dev/shm/.memir-{RUN}"
    assert (session.run.grace, session.mounted, session.stale) == (20, False, "")
    inside = small_node.root / f"dev/shm/.memir-{RUN}"
    assert sorted(path.name for path in inside.iterdir()) == ["alive", "groups", "watchdog.sh"]
    assert inside.stat().st_mode & 0o777 == 0o700
    assert (small_node.root / "dev/shm/.memir-lock/run").read_text() == f"{RUN}\n"
    assert session.finish() == []
    assert small_node.left() == []
    # a second end finds nothing to do
    assert session.finish() == []


def test_the_lock_is_for_one_run(session: NodeSession) -> None:
    other = NodeSession(session.transport, "20260101-000001-beef", grace=20)
    with pytest.raises(NodeError, match=rf"another run is going on on this node .run {RUN} since 20"):
        other.start(1 << 20)
    assert not other.begun
    assert other.finish() == []


def test_a_node_without_memory_file_system(small_node: NodeRig) -> None:
    (small_node.root / "proc/mounts").unlink()
    (small_node.root / "proc/mounts").write_text("ext4 / ext4 rw 0 0\n")
    session = NodeSession(LocalTransport(small_node.root), RUN)
    with pytest.raises(NodeError, match="no place in memory for the tool: no tmpfs at /dev/shm or /run"):
        session.start(1 << 20)
    assert not session.begun


def test_a_tool_is_put_compared_and_asked(session: NodeSession, small_node: NodeRig, avml: Path) -> None:
    taken = tool(avml)
    session.put_tool(taken)
    there = small_node.root / f"dev/shm/.memir-{RUN}/avml"
    assert there.read_bytes() == avml.read_bytes()
    assert there.stat().st_mode & 0o777 == 0o700
    assert taken.version == "0.21.0"
    with pytest.raises(NodeError, match=rf"arrived on the node with SHA-256 [0-9a-f]{{64}} instead of {'0' * 64}"):
        session.put_tool(tool(avml, "0" * 64))


def test_the_heartbeat_is_felt(session: NodeSession, small_node: NodeRig) -> None:
    alive = small_node.root / f"dev/shm/.memir-{RUN}/alive"
    before = alive.stat().st_mtime_ns
    session.grace = 1
    with session.heartbeat():
        end = time.monotonic() + 10
        while alive.stat().st_mtime_ns == before and time.monotonic() < end:
            time.sleep(0.05)
    assert alive.stat().st_mtime_ns > before


def test_a_run_of_another_controller_is_taken_over_and_removed(session: NodeSession, small_node: NodeRig) -> None:
    other = NodeSession(session.transport, RUN)
    other.adopt(session.run.directory, 40)
    assert (other.run, other.grace) == (type(other.run)(RUN, f"/dev/shm/.memir-{RUN}", 40), 40)
    assert other.finish() == []
    assert small_node.left() == []


class Gone(LocalTransport):
    """A node that cannot be reached any more."""

    asked = connected = 0

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        self.asked += 1
        if self.asked == 1:
            return Result(None)
        raise ConnectError("no route to host")

    def reconnect(self) -> None:
        self.connected += 1


def test_a_node_that_stays_away_is_left_to_its_watchdog() -> None:
    gone = Gone()
    session = NodeSession(gone, RUN, grace=30)
    session.adopt(f"/dev/shm/.memir-{RUN}", 30)
    pauses: list[float] = []
    assert session.finish(pauses.append) == [
        f"/dev/shm/.memir-{RUN}: the node cannot be reached (no route to host); its watchdog removes it in 30 s"
    ]
    assert (gone.asked, gone.connected, pauses) == (TRIES, TRIES - 1, [0.2, 0.8])


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
