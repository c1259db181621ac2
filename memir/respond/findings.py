# SPDX-License-Identifier: Apache-2.0
"""A finding of a case as the start of a plan: whose pod and node it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memir.case.case import Case
from memir.errors import UsageError
from memir.respond.disks import case_folders
from memir.respond.match import Clue

MOST = 8
"""Findings that a message names."""


def finding_clue(text: str) -> Clue:
    """CASE:ID as what the finding says of its pod and node; for ID its beginning, or a kind of which there is one.

    Raises UsageError, CaseError.
    """
    folder, colon, ident = text.rpartition(":")
    if not colon or not folder or not ident:
        raise UsageError(f"--finding {text!r}: write CASE:ID, the id as `memir findings CASE --json` gives it")
    if not Path(folder).is_dir():
        raise UsageError(f"--finding {text}: there is no case {folder}")
    case = Case(folder)
    if "findings" not in case.tables:
        raise UsageError(f"--finding {text}: the case has no findings")
    row = _chosen(case["findings"].to_pylist(), ident, text)
    clue = Clue(
        f"finding {row['id']}", pod_uid=row.get("pod_uid") or "", namespace=row.get("namespace") or "",
        pod=row.get("pod_name") or "", container_ids=tuple(filter(None, [row.get("container_id")])),
        node=row.get("node") or "", folders=case_folders(case),
    )  # fmt: skip
    if not (clue.pod_uid or clue.pod or clue.container_ids or clue.node):
        raise UsageError(f"--finding {text}: it names neither a pod nor a node: give --node NAME")
    return clue


def _chosen(rows: Sequence[Mapping[str, Any]], word: str, text: str) -> Mapping[str, Any]:
    """The finding of this id, or the one whose id begins so, or the one of this kind. Raises UsageError."""
    if same := [row for row in rows if row["id"] == word]:
        return same[0]
    near = [row for row in rows if row["id"].startswith(word) or row["kind"] == word]
    if len(near) == 1:
        return near[0]
    what = f"{len(near)} findings are so called" if near else "the case has no such finding"
    there = [f"{row['id']} ({whose(row)})" if whose(row) else row["id"] for row in near or rows]
    more = f" and {len(there) - MOST} more (`memir findings CASE --json` has all)" if len(there) > MOST else ""
    raise UsageError(f"--finding {text}: {what}; there are {', '.join(there[:MOST])}{more}")


def whose(row: Mapping[str, Any]) -> str:
    """NAMESPACE/POD of a finding's row, else its node, "" for neither."""
    pod = f"{row.get('namespace') or ''}/{row['pod_name']}" if row.get("pod_name") else ""
    return pod or row.get("node") or ""
