# SPDX-License-Identifier: Apache-2.0
"""Workloads of the pods of two cases, named alike in both: `Deployment/api`, else the pod's own name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_WORD = "[bcdf-hj-np-tv-xz2456789]"
"""What names are made random with (SafeEncodeString of k8s.io/apimachinery/pkg/util/rand)."""
_OF_DEPLOYMENT = re.compile(f"(.+)-{_WORD}{{6,10}}-{_WORD}{{5}}")
_SUFFIXES = {
    "Deployment": r"-[0-9a-z]{1,10}-[0-9a-z]{5}",
    "ReplicaSet": r"-[0-9a-z]{5}",
    "DaemonSet": r"-[0-9a-z]{5}",
    "StatefulSet": r"-[0-9]+",
    "Job": r"(-[0-9]{6,})?-[0-9a-z]{5}",
}
"""What the controllers put behind a workload's name, to name its pods."""

Pods = Iterable[Mapping[str, Any]]


def workload(owner: str, pod_name: str | None) -> str:
    """A pod's workload by its owner: a ReplicaSet is its Deployment's, a Job its CronJob's, a mirror pod the node's."""
    kind, _, name = owner.partition("/")
    if kind == "ReplicaSet":
        return "Deployment/" + re.sub(r"-[0-9a-z]{1,10}$", "", name)
    if kind == "Job":
        return re.sub(r"-[0-9]{6,}$", "", owner)
    if kind == "Node":
        return (pod_name or owner).replace(f"-{name}", "")
    return owner


def workloads(old: Pods, new: Pods) -> tuple[dict[str, str], dict[str, str]]:
    """Workloads by pod UID, of both sides. old, new: pods' rows (pod_uid, namespace, pod_name, owner).

    Who owns a pod only a cluster's view says, and one case may have been made without: what the other knows counts
    for both, of the pod itself or of the one workload there whose pods have such names. Else a name of the form that a
    Deployment gives is one; else a pod is its own workload, and one without a name goes by its UID.
    """
    sides = [[row for row in rows if row["pod_uid"]] for rows in (old, new)]
    owned = [{row["pod_uid"]: workload(row["owner"], row["pod_name"]) for row in rows if row["owner"]}
             for rows in sides]  # fmt: skip
    known = [{(row["namespace"], mine[row["pod_uid"]]) for row in rows if row["pod_uid"] in mine}
             for rows, mine in zip(sides, owned, strict=True)]  # fmt: skip
    first, second = (
        {row["pod_uid"]: mine.get(row["pod_uid"]) or theirs.get(row["pod_uid"]) or _by_name(row, of_theirs)
         for row in rows}
        for rows, mine, theirs, of_theirs in zip(sides, owned, owned[::-1], known[::-1], strict=True)
    )  # fmt: skip
    return first, second


def _by_name(row: Mapping[str, Any], known: Iterable[tuple[str | None, str]]) -> str:
    name = row["pod_name"]
    if not name:
        return f"pod {row['pod_uid']}"
    like = [each for namespace, each in known if namespace == row["namespace"] and _is_of(name, each)]
    if len(like) == 1:
        return like[0]
    formed = _OF_DEPLOYMENT.fullmatch(name)
    return f"Deployment/{formed.group(1)}" if formed else name


def _is_of(pod_name: str, workload_: str) -> bool:
    kind, _, name = workload_.partition("/")
    return kind in _SUFFIXES and re.fullmatch(re.escape(name) + _SUFFIXES[kind], pod_name) is not None
