# SPDX-License-Identifier: Apache-2.0
"""Which pod is collected, and what the API server has of it: into api/ of the evidence folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memir.collect.folder import Folder
from memir.errors import NodeError, RemoteError, UsageError
from memir.evidence.collected import CollectedContainer, CollectedGap, CollectedPod
from memir.kubeapi.client import Api
from memir.kubeapi.pod import container_ids, containers_of, read_events, read_log, read_node, read_pod

UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")
STATIC = "kubernetes.io/config.hash"
FARGATE = "eks.amazonaws.com/fargate-profile"
"""Label of a pod that EKS put on Fargate."""


@dataclass(frozen=True)
class Target:
    """A pod. uids: its UID, and for a static pod the hash that its directories and cgroups are named by."""

    pod: CollectedPod
    ids: tuple[str, ...] = ()
    uid_on_node: str = ""
    document: Mapping[str, Any] | None = None
    api: Api = field(default=None, repr=False)


def split_name(name: str) -> tuple[str, str]:
    """(namespace, pod) of NS/NAME. Raises UsageError."""
    namespace, slash, pod = name.partition("/")
    if not slash or not namespace or not pod or "/" in pod:
        raise UsageError(f"which pod? write NAMESPACE/NAME, not {name!r}")
    return namespace, pod


def by_uid(uid: str, name: str = "") -> Target:
    """A pod that is named by its UID; the API server is not asked. Raises UsageError for what is no UID."""
    uid = uid.lower()
    if not UID.fullmatch(uid):
        raise UsageError(f"--uid {uid!r} is no pod's UID: 36 characters with dashes, or 32 of a static pod")
    namespace, pod = split_name(name) if name else ("", "")
    return Target(CollectedPod(namespace, pod, uid, "", asked_api=False), uid_on_node=uid)


def on_fargate(document: Mapping[str, Any]) -> bool:
    """Whether EKS put a pod on Fargate."""
    return bool(((document.get("metadata") or {}).get("labels") or {}).get(FARGATE))


def by_api(api: Api, name: str, *, beside: bool = False) -> Target:
    """A pod as the API server has it. Raises NodeError where it has no node: never scheduled, or on Fargate.

    beside: the node is not needed.
    """
    namespace, pod = split_name(name)
    document = read_pod(api, namespace, pod)
    metadata, spec = document.get("metadata") or {}, document.get("spec") or {}
    uid, node = str(metadata.get("uid") or ""), str(spec.get("nodeName") or "")
    if not node:
        raise NodeError(f"pod {name} has no node yet, so nothing of it runs: `memir snapshot -o DIR` has what is known")
    if on_fargate(document) and not beside:
        raise NodeError(
            f"pod {name} runs on EKS Fargate ({node}), which lets nobody onto the node: nothing was done; "
            f"`memir collect fargate {name} -o DIR` collects it from within"
        )
    containers, ids = [], []
    for kind, container, status in containers_of(document):
        known = container_ids(status)
        ids += known
        state = next(iter(status.get("state") or {}), "")
        containers.append(
            CollectedContainer(
                str(container.get("name") or ""), kind, known[0] if known else "", str(container.get("image") or ""),
                str(status.get("imageID") or ""), str(state), int(status.get("restartCount") or 0),
            )
        )  # fmt: skip
    known_pod = CollectedPod(namespace, pod, uid, node, asked_api=True, containers=tuple(containers))
    static = str((metadata.get("annotations") or {}).get(STATIC) or "")
    return Target(known_pod, tuple(dict.fromkeys(ids)), static or uid, document, api)


def write_api(target: Target, folder: Folder) -> list[CollectedGap]:
    """pod.json, node.json, events.json and every container's logs; what could not be had."""
    if target.api is None or target.document is None:
        return []
    pod, api = target.pod, target.api
    gaps: list[CollectedGap] = []
    folder.add_json("api/pod.json", target.document)
    try:
        folder.add_json("api/events.json", read_events(api, pod.namespace, pod.uid))
    except RemoteError as error:
        gaps.append(CollectedGap("events", f"{pod.namespace}/{pod.name}", str(error), missing=True))
    try:
        folder.add_json("api/node.json", read_node(api, pod.node))
    except RemoteError as error:
        gaps.append(CollectedGap("node object", pod.node, str(error)))
    for container in pod.containers:
        for previous in (False, True):
            gaps += _log(target, folder, container, previous=previous)
    return gaps


def _log(target: Target, folder: Folder, container: CollectedContainer, *, previous: bool) -> Sequence[CollectedGap]:
    pod, what = target.pod, "log of the run before" if previous else "log"
    if previous and not container.restarts:
        return ()
    file = folder.open(f"api/logs/{container.name}{'.previous' if previous else ''}.log")
    try:
        there = read_log(target.api, pod.namespace, pod.name, container.name, file.write, previous=previous)
    except RemoteError as error:
        # also where the API server is there and the node's kubelet does not answer it
        return (CollectedGap(what, container.name, str(error), missing=True),)
    finally:
        file.close()
    if not there:
        return (CollectedGap(what, container.name, "the API server has none (the file is empty)"),)
    return ()
