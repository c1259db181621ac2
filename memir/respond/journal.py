# SPDX-License-Identifier: Apache-2.0
"""The record of a run: a custody chain of what was there before and after each change, written before it is made.

The folder holds manifest.jsonl (memir.evidence.custody) and lock. Events: begin, before, after, skipped, stopped,
undoing, undone, kept, end. What the chain says is all that a run that was killed leaves, and all that it needs.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memir.errors import CustodyError, StorageError, UsageError
from memir.evidence.custody import Manifest, now, read_chain, require
from memir.evidence.folder import MANIFEST
from memir.respond.actions.base import State
from memir.respond.plan import Plan, change_digest


@dataclass(frozen=True, slots=True)
class Entry:
    """What the record has of a change. done: the goal was seen. undo_goal: what an undo that was begun leads to."""

    before: State
    goal: State
    done: bool = False
    undo_goal: State | None = None
    kept: str = ""


class Journal:
    """One run's record. Made by `start` or `resume`; close it."""

    def __init__(self, manifest: Manifest, lock: int, folder: Path) -> None:
        self.folder, self.entries = folder, dict[str, Entry]()
        self._manifest, self._lock = manifest, lock

    @classmethod
    def start(cls, folder: Path, plan_id: str, sha256: str, argv: list[str], clock: Callable[[], str] = now) -> Journal:
        """A new record. Raises UsageError where one is: it is gone on with, or taken back, never begun again."""
        if (folder / MANIFEST).exists():
            raise UsageError(
                f"{folder} has the record of a run of this plan: go on with --resume, or take it back with --undo"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageError(f"cannot make {folder}: {error.strerror}") from error
        lock = _locked(folder)
        journal = cls(Manifest(folder, clock), lock, folder)
        journal.add("begin", plan=plan_id, plan_sha256=sha256, command=argv)
        return journal

    @classmethod
    def resume(
        cls, folder: Path, sha256: str, argv: list[str], clock: Callable[[], str] = now, plan: Plan | None = None
    ) -> Journal:
        """The record of a run that ended or was killed. plan: what is run now; it may differ from the one that was
        begun in what the record has not changed yet, as --check makes it.

        Raises UsageError for another plan's, CustodyError for one that was changed.
        """
        if not (folder / MANIFEST).is_file():
            raise UsageError(f"{folder} has no record of a run: nothing was done by this plan from here")
        lock = _locked(folder)
        try:
            manifest, chain, cut = Manifest.reopen(folder, clock)
        except (CustodyError, StorageError):
            os.close(lock)
            raise
        journal = cls(manifest, lock, folder)
        records = chain.records
        if not records:  # killed while the first line was written
            journal.add("begin", plan_sha256=sha256, command=argv, cut=cut)
            return journal
        last = [record["plan_sha256"] for record in records if "plan_sha256" in record][-1:]
        if last != [sha256] and (why := _other(records, plan)):
            journal.close()
            raise UsageError(f"{folder} is another plan's record, or the plan was changed since{why}: use it as it was")
        journal.entries = entries_of(records)
        another = {"plan_sha256": sha256} if last != [sha256] else {}
        journal.add("resume", command=argv, **another, **({"cut": cut} if cut else {}))
        return journal

    def before(self, change: str, state: State, goal: State, digest: str = "") -> None:
        """What is there, and what shall be: written and synced before the first request. digest: of the change."""
        self.add("before", change=change, state=dict(state), goal=dict(goal), **({"sha256": digest} if digest else {}))
        self.entries[change] = Entry(state, goal)

    def after(self, change: str, state: State) -> None:
        """The goal was seen."""
        self.add("after", change=change, state=dict(state))
        entry = self.entries[change]
        self.entries[change] = Entry(entry.before, entry.goal, True)

    def undoing(self, change: str, state: State, goal: State) -> None:
        """An undo of this change begins."""
        self.add("undoing", change=change, state=dict(state), goal=dict(goal))
        entry = self.entries[change]
        self.entries[change] = Entry(entry.before, entry.goal, entry.done, goal)

    def undone(self, change: str, state: State) -> None:
        """A change was taken back."""
        self.add("undone", change=change, state=dict(state))
        del self.entries[change]

    def kept(self, change: str, why: str) -> None:
        """A change is left as it is at undo."""
        self.add("kept", change=change, why=why)

    def add(self, event: str, **fields: object) -> None:
        """Any other event."""
        self._manifest.add(event, **fields)

    def close(self) -> None:
        """No more events; another process may go on."""
        self._manifest.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _other(records: tuple[Mapping[str, Any], ...], plan: Plan | None) -> str:
    """Why a plan is not the one of a record; "" where it has every change that the record has, as it was then."""
    if plan is None or records[0].get("plan") != plan.id:
        return " by more than its steps"
    now_has = {change.id: change_digest(change) for step in plan.steps for change in step.changes}
    kept = entries_of(records)
    begun = {record["change"]: record.get("sha256") for record in records if record["event"] == "before"}
    changed = next((ident for ident in kept if not begun[ident] or begun[ident] != now_has.get(ident)), "")
    return f" in what was done by it ({changed})" if changed else ""


def entries_of(records: tuple[Mapping[str, Any], ...]) -> dict[str, Entry]:
    """What a chain's records say of each change: those that were taken back are not there."""
    entries: dict[str, Entry] = {}
    for record in records:
        event, change = record["event"], str(record.get("change", ""))
        if event == "before":
            entries[change] = Entry(record["state"], record["goal"])
        elif event == "after" and change in entries:
            entries[change] = Entry(entries[change].before, entries[change].goal, True)
        elif event == "undoing" and change in entries:
            entry = entries[change]
            entries[change] = Entry(entry.before, entry.goal, entry.done, record["goal"])
        elif event == "undone":
            entries.pop(change, None)
    return entries


def read_journal(folder: Path) -> tuple[Mapping[str, Any], ...]:
    """The records of a run. Raises CustodyError where the chain does not hold."""
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise CustodyError(f"{folder / MANIFEST} cannot be read: {error.strerror}") from error
    return tuple(require(read_chain(data)))


def _locked(folder: Path) -> int:
    """A lock that goes with its process, however that ends."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(f"cannot use {folder}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise UsageError(f"{folder}: another memir is running this plan") from error
    return lock
