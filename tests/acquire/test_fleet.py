# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from memir.acquire.fleet import acquire_many, worst
from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.local import LocalTransport
from memir.errors import NodeError
from memir.evidence.progress import Progress, Report
from memir.evidence.verify import verify
from tests.acquire.rigs.noderig import MIB
from tests.acquire.rigs.nodes import LOW, SMALL, MakeNode
from tests.acquire.rigs.runs import clean
from tests.acquire.rigs.wait import BOUND


def test_each_node_has_its_own_folder_and_its_own_failure(make_node: MakeNode, tmp_path: Path, avml: Path) -> None:
    nodes = {name: make_node(LOW, SMALL) for name in ("one", "two", "three")}
    (nodes["two"].root / "proc/kcore").unlink()
    running, most, lock = 0, 0, threading.Lock()

    class Counted(Acquisition):
        def execute(self, ready: object = None) -> object:  # type: ignore[override]  # counts, then does the same
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            try:
                return super().execute()
            finally:
                with lock:
                    running -= 1

    def make(name: str, report: Report) -> Acquisition:
        folder = tmp_path / name
        options = Options(tool_path=avml, format="lime", context=False, grace=10, limit_rate=4 * MIB)
        return Counted(LocalTransport(nodes[name].root), FileSink(folder), folder, options, report=report)

    outcomes = acquire_many(list(nodes), make, parallel=2)
    assert [one.name for one in outcomes] == ["one", "two", "three"]
    assert [one.error is None for one in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, NodeError)
    assert "cannot be read" in str(outcomes[1].error)
    assert most == 2
    assert worst(outcomes) == 4
    assert verify(tmp_path / "one").complete
    assert verify(tmp_path / "three").complete
    assert not (tmp_path / "two").exists()
    assert all(clean(node) for node in nodes.values())


def test_an_interruption_stops_all_and_keeps_each(
    make_node: MakeNode, tmp_path: Path, avml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {name: make_node() for name in ("one", "two")}
    moved = threading.Event()
    both = threading.Barrier(2, moved.set)

    def make(name: str, report: Report) -> Acquisition:
        first = True

        def watch(progress: Progress) -> None:
            nonlocal first
            if progress.done > MIB and first:
                first = False
                # each waits until the other one's RAM comes too
                both.wait(BOUND)
            report(progress)

        folder = tmp_path / name
        options = Options(tool_path=avml, format="lime", context=False, grace=10, limit_rate=4 * MIB)
        return Acquisition(LocalTransport(nodes[name].root), FileSink(folder), folder, options, report=watch)

    import concurrent.futures

    real = concurrent.futures.wait

    def wait(*arguments: object, **named: object) -> object:
        # Ctrl-C arrives in the thread that waits
        if moved.is_set():
            moved.clear()
            time.sleep(0.2)
            raise KeyboardInterrupt
        return real(*arguments, **named)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr("memir.acquire.fleet.wait", wait)
    outcomes = acquire_many(list(nodes), make, parallel=2)
    assert worst(outcomes) == 130
    for name, node in nodes.items():
        receipt = json.loads((tmp_path / name / "receipt.json").read_bytes())
        assert receipt["status"] == "interrupted"
        assert receipt["image"]["size"] > 0
        assert verify(tmp_path / name).holds
        assert clean(node)
