# SPDX-License-Identifier: Apache-2.0
"""A run of acquire as a step: done by its receipt, never written over."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from memir.errors import NodeError, StateError
from memir.evidence.folder import MANIFEST, RECEIPT
from memir.respond.actions.acquire import Acquire
from memir.respond.journal import Journal
from memir.respond.plan import Change
from memir.respond.run import reach
from tests.images import ROOT
from tests.respond import shop
from tests.respond.worlds import SHA, world

RECEIPTS = ROOT / "tests" / "evidence"


def made(tmp_path: Path, run: list[list[str]], code: int = 0, leave: str = "complete") -> Acquire:
    folder = tmp_path / "evidence"

    def command(words: Sequence[str]) -> int:
        run.append(list(words))
        put(folder, leave)
        return code

    change = Change("a", "acquire", "n", ("memir acquire pod --node 'n o' -o x",), needs={"folder": str(folder)})
    return Acquire(change, world(shop.plan(tmp_path / "c"), shop.server(), run=command))


def put(folder: Path, status: str) -> None:
    """Evidence as a run leaves it, from one that memir 0.1.0 made."""
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).touch()
    if status == "begun":
        return
    receipt = next(RECEIPTS.rglob("receipt.json")).read_text()
    (folder / RECEIPT).write_text(receipt.replace('"status": "complete"', f'"status": "{status}"'))


def test_run_once(tmp_path: Path) -> None:
    ran: list[list[str]] = []
    action = made(tmp_path, ran)
    journal = Journal.start(tmp_path / "run", "p", SHA, [])
    assert [reach(action, journal), reach(action, journal)] == [True, False]
    assert ran == [["acquire", "pod", "--node", "n o", "-o", "x"]]
    assert (journal.entries["a"].before, journal.entries["a"].goal) == ({"status": "absent"}, {"status": "complete"})
    journal.close()


def test_evidence_of_another_run(tmp_path: Path) -> None:
    ran: list[list[str]] = []
    action = made(tmp_path, ran)
    put(tmp_path / "evidence", "partial")
    journal = Journal.start(tmp_path / "run", "p", SHA, [])
    with pytest.raises(StateError, match="holds evidence that is partial"):
        reach(action, journal)
    journal.close()


@pytest.mark.parametrize("leave", ["begun", "partial"])
def test_a_run_that_fails_is_not_written_over(tmp_path: Path, leave: str) -> None:
    ran: list[list[str]] = []
    action = made(tmp_path, ran, code=4, leave=leave)
    journal = Journal.start(tmp_path / "run", "p", SHA, [])
    with pytest.raises(NodeError, match="ended with exit code 4"):
        reach(action, journal)
    with pytest.raises(NodeError, match=f"holds evidence that is {leave}: go on with"):
        reach(action, journal)
    assert len(ran) == 1
    shutil.rmtree(tmp_path / "evidence")
    put(tmp_path / "evidence", "complete")
    assert reach(action, journal) is False
    (tmp_path / "evidence" / RECEIPT).write_text("no")
    assert action.read() == {"status": "unknown"}
    journal.close()
