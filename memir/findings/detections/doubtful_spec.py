# SPDX-License-Identifier: Apache-2.0
"""Witnesses that say different things of one container or pod."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where


def _find(look: Look) -> Iterator[Match]:
    for table, key in (("containers", "container_id"), ("pods", "pod_uid")):
        for row in look.rows(table):
            if row["doubts"]:
                number = str(row[key]).replace("'", "''")
                proofs = (Proof(table, f"{key} = '{number}'"), Proof("claims", f"subject = '{table[:-1]}:{number}'"))
                yield Match(
                    "low", "what is written down of it differs from place to place",
                    f"{where(row)}: {short('; '.join(row['doubts']))}", row, proofs, subject=f"{table} {number}",
                )  # fmt: skip


DETECTION = Detection(
    kind="doubtful-spec",
    title="Witnesses that differ on a container or pod",
    how="Cgroup, namespaces, the runtime's documents and the API name different values for one field of a container or "
    "pod: image, name, state, privileges. Always low: read what differs.",
    technique="T1610",
    tables=("containers", "pods"),
    more=("claims",),
    find=_find,
    why="What runs is not what was asked for, or a document was changed after the fact.",
    check_next=("the claims, each with its witness and document",),
    benign=("a snapshot of the API of another time", "an image that is known by tag here and by digest there"),
    missed=("documents that were all changed alike",),
    gaps=("spec", "container", "API"),
)
