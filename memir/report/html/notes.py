# SPDX-License-Identifier: Apache-2.0
"""Notes and marks "seen, benign" that people saved from the page: a JSON file beside the case, outside its seal.

{"schema": 1, "case": hash of the seal's last entry, "node": name, "notes": [{"target", "text", "benign", "when"}]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memir.errors import CaseError, UsageError

_MOST_BYTES = 16 << 20


def read_notes(path: Path) -> dict[str, Any]:
    """A notes file. UsageError if it cannot be read or is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UsageError(f"{path}: longer than {_MOST_BYTES >> 20} MiB: no notes that the page saved")
        document = json.loads(data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: no notes file: {error}; the page's button Save notes writes one") from error
    if not isinstance(document, dict) or document.get("schema") != 1 or not isinstance(document.get("notes"), list):
        raise UsageError(f"{path}: no notes file of schema 1; the page's button Save notes writes one")
    for number, note in enumerate(document["notes"]):
        if not isinstance(note, dict) or not isinstance(note.get("target"), str):
            raise UsageError(f"{path}: note {number} names no target")
    return document


def checked(notes: Mapping[str, Any], head: str) -> list[dict[str, Any]]:
    """The notes for a case whose seal ends with `head`; those of findings alone, if the case was written since.

    CaseError if no entry of this case's could be meant: rows of another case have other numbers.
    """
    same = notes.get("case") == head
    kept = [note for note in notes["notes"] if same or note["target"].startswith("finding:")]
    if not kept and notes["notes"]:
        raise CaseError("the notes are about rows of another case, or of this one before it was written again")
    return [
        {
            "target": str(note["target"]),
            "text": str(note.get("text") or ""),
            "benign": note.get("benign") is True,
            "when": str(note.get("when") or ""),
        }
        for note in kept
    ]
