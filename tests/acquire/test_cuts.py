# SPDX-License-Identifier: Apache-2.0
"""The connection is cut at random bytes, hundreds of times: never a false success, never lost parts, nothing left."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from pathlib import Path

import pytest

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.ssh.transport import SshTransport
from memir.errors import MemirError
from memir.evidence.verify import verify
from tests.acquire.rigs.cutter import Cutter
from tests.acquire.rigs.noderig import NodeRig
from tests.acquire.rigs.nodes import target
from tests.acquire.rigs.runs import clean_but_sshd, stream_of
from tests.acquire.rigs.sshd import Sshd

RUNS = 400 if os.environ.get("CI") else 16
GROUPS = 8


@pytest.mark.slow
@pytest.mark.parametrize("group", range(GROUPS))
def test_cut_at_random_bytes(small_sshd: Sshd, small_node: NodeRig, tmp_path: Path, avml: Path, group: int) -> None:
    """A whole run moves about 5.4 MB: login and preflight, the tool, the stream, the end."""
    rng = random.Random(1000 + group)
    whole = stream_of(small_node)
    ends = {"complete": 0, "kept": 0, "refused": 0}
    for number in range(RUNS // GROUPS):
        budget = rng.choice([rng.randrange(20_000), rng.randrange(5_400_000), rng.randrange(2_500_000, 5_400_000)])
        dead, mode = rng.random() < 0.2, rng.choice(["reset", "close"])
        folder = tmp_path / f"ev{number}"
        with Cutter(small_sshd.port, budget=budget, dead=dead, mode=mode) as cutter:
            known = small_sshd.trust(tmp_path / "known", port=cutter.port)
            reached = target(small_sshd, port=cutter.port, known_hosts=known, stall=120.0)
            options = Options(tool_path=avml, format="lime", context=False, grace=6)
            run = Acquisition(SshTransport(reached), FileSink(folder), folder, options)
            story = f"group {group}, run {number}: budget {budget}, dead {dead}, mode {mode}"
            try:
                receipt = run.execute()
            except MemirError as error:
                assert error.exit_code == 4, story
                assert cutter.cut, story
                ends[judge(folder, whole, story)] += 1
            else:
                # the cut may fall after the last byte that matters: then it is a success, and a true one
                assert receipt["status"] == "complete", story
                assert (folder / "image.lime").read_bytes() == whole, story
                assert verify(folder).complete, story
                ends["complete"] += 1
        assert clean_but_sshd(small_node), story
    assert ends["kept"] > 0


def judge(folder: Path, whole: bytes, story: str) -> str:
    """A run that failed: refused before it began, or partial evidence that holds and says so."""
    if not folder.exists():
        return "refused"
    receipt = json.loads((folder / "receipt.json").read_bytes())
    assert receipt["status"] == "partial", story
    assert receipt["missing"], story
    found = verify(folder)
    assert found.holds, (story, found.problems)
    assert not found.complete, story
    for path in folder.glob("image.*"):
        # every byte that was received before the cut is there, in its place
        kept = path.read_bytes()
        assert kept == whole[: len(kept)], story
        assert receipt["image"]["size"] == len(kept), story
    return "kept"


def test_a_server_that_is_silent_for_a_while_is_not_cut() -> None:
    """Only the budget cuts: on a busy machine a node may say nothing for longer than a connection takes to make."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_late() -> None:
            link, _ = server.accept()
            with link:
                time.sleep(0.5)
                link.sendall(b"late")

        threading.Thread(target=answer_late, daemon=True).start()
        with (
            Cutter(server.getsockname()[1], patience=0.1) as cutter,
            socket.create_connection(("127.0.0.1", cutter.port), 60) as link,
        ):
            assert link.recv(4) == b"late"
            assert not cutter.cut
