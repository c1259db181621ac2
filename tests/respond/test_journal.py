# SPDX-License-Identifier: Apache-2.0
"""The record of a run: what it keeps, who may go on with it, what a cut leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import CustodyError, UsageError
from memir.respond.journal import Entry, Journal, entries_of, read_journal
from tests.respond.worlds import SHA


def start(folder: Path) -> Journal:
    return Journal.start(folder, "memir-1", SHA, ["respond"])


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    journal = start(tmp_path / "run")
    journal.before("a", {"x": None}, {"x": "1"})
    journal.after("a", {"x": "1"})
    journal.before("b", {"x": 1}, {"x": 2})
    journal.before("c", {}, {"y": []})
    journal.undoing("b", {"x": 2}, {"x": 3})
    journal.undone("c", {})
    journal.kept("a", "why")
    written = journal.entries
    journal.close()
    again = Journal.resume(tmp_path / "run", SHA, ["again"])
    assert again.entries == written == {
        "a": Entry({"x": None}, {"x": "1"}, True), "b": Entry({"x": 1}, {"x": 2}, False, {"x": 3}),
    }  # fmt: skip
    again.close()
    records = read_journal(tmp_path / "run")
    assert [record["event"] for record in records] == [
        "begin", "before", "after", "before", "before", "undoing", "undone", "kept", "resume",
    ]  # fmt: skip
    assert (records[0]["plan_sha256"], records[0]["command"]) == (SHA, ["respond"])
    assert entries_of(records) == written


def test_one_run_a_record_and_one_process_a_run(tmp_path: Path) -> None:
    journal = start(tmp_path / "run")
    with pytest.raises(UsageError, match="go on with --resume, or take it back with --undo"):
        start(tmp_path / "run")
    with pytest.raises(UsageError, match="another memir is running this plan"):
        Journal.resume(tmp_path / "run", SHA, [])
    journal.close()
    with pytest.raises(UsageError, match="is another plan's record, or the plan was changed since"):
        Journal.resume(tmp_path / "run", "6" * 64, [])
    with pytest.raises(UsageError, match="no record of a run: nothing was done"):
        Journal.resume(tmp_path / "none", SHA, [])
    Journal.resume(tmp_path / "run", SHA, []).close()


def test_a_cut_at_any_byte_is_gone_on_with(tmp_path: Path) -> None:
    """A process that dies while it writes leaves a line that is not whole: what was synced before it counts."""
    journal = start(tmp_path / "run")
    journal.before("a", {"x": None}, {"x": "1"})
    journal.close()
    whole = (tmp_path / "run" / "manifest.jsonl").read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(0, len(whole), 7):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / "manifest.jsonl").write_bytes(whole[:length])
        if length < first:
            with pytest.raises(CustodyError):
                Journal.resume(folder, SHA, [])
            continue
        again = Journal.resume(folder, SHA, [])
        assert again.entries == {}
        again.close()


def test_a_record_that_was_changed_is_refused(tmp_path: Path) -> None:
    journal = start(tmp_path / "run")
    journal.before("a", {"x": None}, {"x": "1"})
    journal.close()
    path = tmp_path / "run" / "manifest.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"x":null', b'"x":"0"'))
    with pytest.raises(CustodyError, match="line 2: its hash is not that of its content"):
        Journal.resume(tmp_path / "run", SHA, [])
    with pytest.raises(CustodyError):
        read_journal(tmp_path / "run")
    with pytest.raises(CustodyError, match="cannot be read"):
        read_journal(tmp_path / "none")
