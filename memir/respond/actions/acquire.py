# SPDX-License-Identifier: Apache-2.0
"""A run of `memir acquire`: done when its evidence folder has a receipt that says complete."""

from __future__ import annotations

import shlex
from pathlib import Path

from memir.errors import CustodyError, NodeError
from memir.evidence.folder import MANIFEST, RECEIPT
from memir.respond.actions.base import Action, State


class Acquire(Action):
    """calls: the command. needs: folder."""

    verb = "memir acquire"
    instead = "go on with `memir acquire` and its --resume, or move the folder away"

    def read(self) -> State:
        """Status as the receipt has it: absent, begun, complete, partial ..."""
        folder = Path(self.change.needs["folder"])
        if (folder / RECEIPT).is_file():
            return {"status": self._status(folder)}
        return {"status": "begun" if (folder / MANIFEST).exists() else "absent"}

    def _status(self, folder: Path) -> str:
        from memir.evidence.receipt import read_receipt

        try:
            return read_receipt(folder).status
        except CustodyError:
            return "unknown"

    def goal(self, state: State) -> State:
        """Complete."""
        del state
        return {"status": "complete"}

    def unexpected(self, state: State) -> str:
        """Evidence of another run."""
        if state["status"] in ("absent", "complete"):
            return ""
        return f"{self.change.needs['folder']} holds evidence that is {state['status']}"

    def between(self, state: State, before: State, goal: State) -> bool:
        """Partial evidence is there and stays."""
        del before, goal
        return state["status"] in ("begun", "partial", "interrupted", "unknown")

    def apply(self, state: State, goal: State) -> None:
        """The command. What a run that was killed left is not overwritten."""
        del goal
        folder = self.change.needs["folder"]
        if state["status"] != "absent":
            raise NodeError(
                f"{folder} holds evidence that is {state['status']}: {self.instead}; then --resume this plan"
            )
        code = self.world.run(shlex.split(self.change.calls[0])[1:])
        if code:
            raise NodeError(f"{self.verb} ended with exit code {code}: see {folder}; then --resume this plan")
