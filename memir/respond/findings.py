# SPDX-License-Identifier: Apache-2.0
"""A finding of a case as the start of a plan: whose pod and node it is."""

from __future__ import annotations

from pathlib import Path

from memir.case.case import Case
from memir.errors import UsageError
from memir.respond.disks import case_folders
from memir.respond.match import Clue


def finding_clue(text: str) -> Clue:
    """CASE:ID as what the finding says of its pod and node. Raises UsageError, CaseError."""
    folder, colon, ident = text.rpartition(":")
    if not colon or not folder or not ident:
        raise UsageError(f"--finding {text!r}: write CASE:ID, the id as `memir findings CASE --json` gives it")
    if not Path(folder).is_dir():
        raise UsageError(f"--finding {text}: there is no case {folder}")
    case = Case(folder)
    if "findings" not in case.tables:
        raise UsageError(f"--finding {text}: the case has no findings")
    rows = case["findings"].to_pylist()
    row = next((row for row in rows if row["id"] == ident), None)
    if row is None:
        near = ", ".join(row["id"] for row in rows[:8])
        raise UsageError(f"--finding {text}: the case has no such finding; there are {near}")
    clue = Clue(
        f"finding {ident}", pod_uid=row.get("pod_uid") or "", namespace=row.get("namespace") or "",
        pod=row.get("pod_name") or "", container_ids=tuple(filter(None, [row.get("container_id")])),
        node=row.get("node") or "", folders=case_folders(case),
    )  # fmt: skip
    if not (clue.pod_uid or clue.pod or clue.container_ids or clue.node):
        raise UsageError(f"--finding {text}: it names neither a pod nor a node: give --node NAME")
    return clue
