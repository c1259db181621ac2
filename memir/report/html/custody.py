# SPDX-License-Identifier: Apache-2.0
"""Custody for the page: the seal's entries, and whether they held when the report was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memir.case.verify import verify


def custody(folder: Path) -> dict[str, Any]:
    """The check of `memir verify CASE`, and the chain: holds, problems, signer, signed, head, entries."""
    check = verify(folder)
    return {
        "holds": check.holds,
        "problems": list(check.problems),
        "signer": check.signer,
        "signed": check.signed,
        "head": check.seal.head,
        "identity": check.identity.words() if check.identity is not None else None,
        "entries": [
            {
                "seq": entry.seq,
                "utc": entry.utc,
                "event": entry.event,
                "memir": entry.memir,
                "run": entry.run,
                "written": list(entry.written),
                "replaced": entry.replaced,
                "case": entry.case,
                "hash": entry.hash,
                "inputs": [{"kind": each.kind, "path": each.path, "sha256": each.sha256} for each in entry.inputs],
                "tables": dict(entry.tables),
            }
            for entry in check.seal.entries
        ],
    }
