# SPDX-License-Identifier: Apache-2.0
"""Evidence made anew by someone who can: every hash of the chain fits again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memir.evidence.custody import START, canonical, record_hash

Record = dict[str, Any]


def read(folder: Path) -> list[Record]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_bytes().splitlines()]


def write(folder: Path, records: list[Record]) -> None:
    """The chain again, from the first record on; the end's hash of the receipt too."""
    head, out = START, b""
    for number, given in enumerate(records):
        record = {key: value for key, value in given.items() if key != "hash"}
        if record.get("event") == "end" and (folder / "receipt.json").exists() and record.get("receipt") != "kept":
            record["receipt"] = hashlib.sha256((folder / "receipt.json").read_bytes()).hexdigest()
        record |= {"seq": number, "prev": head}
        head = record["hash"] = record_hash(record)
        out += canonical(record) + b"\n"
    (folder / "manifest.jsonl").write_bytes(out)


def change(folder: Path, event: str, edit: Callable[[Record], object]) -> None:
    """Edit every record of an event, then make the chain fit. The signature is dropped: it cannot."""
    records = read(folder)
    for record in records:
        if record["event"] == event:
            edit(record)
    write(folder, records)
    (folder / "manifest.sig").unlink(missing_ok=True)


def change_receipt(folder: Path, edit: Callable[[Record], object]) -> None:
    document = json.loads((folder / "receipt.json").read_bytes())
    edit(document)
    (folder / "receipt.json").write_text(json.dumps(document))
