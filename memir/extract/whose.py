# SPDX-License-Identifier: Apache-2.0
"""Rows of tables by whose they are: those of pods and containers that are asked for, and the folder of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from memir.errors import UsageError
from memir.extract.place import component

if TYPE_CHECKING:
    from memir.node import Node

SHORTEST = 4
"""Digits of a container's id that may stand for it."""
_LISTED = 10


def is_of(row: Mapping[str, Any], pod: Sequence[str], container: Sequence[str]) -> bool:
    """Whether a row is of one of these pods (name, namespace/name, UID) and containers (name, SHORTEST or more digits
    of its id); an empty list asks for all."""
    names = {row["pod_name"], row["pod_uid"], f"{row['namespace']}/{row['pod_name']}"}
    known, ident = row["container_name"], row["container_id"] or ""
    return (not pod or bool(names & set(pod))) and (
        not container or any(name == known or (len(name) >= SHORTEST and ident.startswith(name)) for name in container)
    )


def check_names(node: Node, pod: Sequence[str], container: Sequence[str]) -> None:
    """UsageError, which lists those that there are, for a pod or container that the node has not."""
    pods, containers = (node[table].to_arrow().to_pylist() for table in ("pods", "containers"))
    nobody = {"container_name": None, "container_id": None}
    for name in pod:
        if not any(is_of(row | nobody, (name,), ()) for row in pods):
            known = sorted(f"{row['namespace']}/{row['pod_name']}" for row in pods if row["pod_name"])
            raise UsageError(f"there is no pod {name}: there are {', '.join(known[:_LISTED]) or 'none'}")
    for name in container:
        if not any(is_of(row, (), (name,)) for row in containers):
            known = sorted({row["container_name"] for row in containers if row["container_name"]})
            known += sorted(row["container_id"][:12] for row in containers if not row["container_name"])
            raise UsageError(f"there is no container {name}: there are {', '.join(known[:_LISTED]) or 'none'}")


def folder_of(row: Mapping[str, Any]) -> str:
    """A name for the container or pod that a row is of; `node` for the node's own."""
    pod = f"{row['namespace']}_{row['pod_name']}" if row["pod_name"] else row["pod_uid"]
    container = row["container_name"] or (row["container_id"] or "")[:12]
    return component("_".join(part for part in (pod, container) if part) or "node")
