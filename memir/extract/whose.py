# SPDX-License-Identifier: Apache-2.0
"""Rows of tables by whose they are: those of pods and containers that are asked for, and the folder of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memir.extract.place import component


def is_of(row: Mapping[str, Any], pod: Sequence[str], container: Sequence[str]) -> bool:
    """Whether a row is of one of these pods (name, namespace/name, UID) and containers (name, six or more digits of
    its id); an empty list asks for all."""
    names = {row["pod_name"], row["pod_uid"], f"{row['namespace']}/{row['pod_name']}"}
    known, ident = row["container_name"], row["container_id"] or ""
    return (not pod or bool(names & set(pod))) and (
        not container or any(name == known or (len(name) >= 6 and ident.startswith(name)) for name in container)
    )


def folder_of(row: Mapping[str, Any]) -> str:
    """A name for the container or pod that a row is of; `node` for the node's own."""
    pod = f"{row['namespace']}_{row['pod_name']}" if row["pod_name"] else row["pod_uid"]
    container = row["container_name"] or (row["container_id"] or "")[:12]
    return component("_".join(part for part in (pod, container) if part) or "node")
