# SPDX-License-Identifier: Apache-2.0
"""A pod that runs and that the API does not know."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof
from memir.findings.look import Look, where


def _find(look: Look) -> Iterator[Match]:
    if not look.api:
        return
    for row in look.rows("pods"):
        if row["seen_in"] != "ram" or not row["processes"] or row["removed"]:
            continue
        static = "-" not in row["pod_uid"]
        count = f"{row['processes']} process{'' if row['processes'] == 1 else 'es'}"
        name = f"{where(row)} ({row['pod_uid']})" if row["pod_name"] else f"pod {row['pod_uid']}"
        yield Match(
            "low" if static else "medium",
            "a pod of the node's own files, whose mirror in the API has another UID"
            if static
            else "the snapshot of the API is of about the same time, and has it not",
            f"{name} runs {count}, and the API does not know it",
            row, (Proof("pods", f"pod_uid = '{row['pod_uid']}'"), Proof("processes", f"pod_uid = '{row['pod_uid']}'")),
        )  # fmt: skip


DETECTION = Detection(
    kind="unknown-pod",
    title="Pod that the API does not know",
    how="With --cluster: a pod of this node has processes, and the snapshot has no pod of its UID. Low for static "
    "pods, "
    "else medium.",
    technique="T1610",
    tables=("pods", "processes"),
    find=_find,
    why="It was deleted and runs on, was never admitted, or its cgroup only looks like a pod's.",
    check_next=("the audit log: who deleted it, and when", "its processes and connections", "manifests of static pods"),
    benign=("a pod that ended or began between the snapshot and the image", "static pods"),
    missed=("without --cluster nothing can be said",),
    gaps=("API", "cgroup"),
)
