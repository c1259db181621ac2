# SPDX-License-Identifier: Apache-2.0
"""The ephemeral container that memir puts into a pod, and what is wrong with one that does not start.

It cannot be removed or changed: it stays in the pod's specification until the pod is gone. It asks for no capability.
https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from memir.errors import NodeError, UsageError
from memir.kubeapi.pod import container_ids, containers_of, end_of

DEFAULT = "kubectl.kubernetes.io/default-container"
KEEP = """trap 'exit 0' TERM; trap 'i=0' USR1
i=0; while [ $i -lt {grace} ]; do sleep 5 & wait $!; i=$((i + 5)); done"""
"""The container's only process: it ends by itself when it was not told to go on for so many seconds. No file is made:
the pod's containers share /dev/shm."""
FIND = """for p in $(grep -las '[m]{mark}' /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3); do
  kill -{signal} "$p" 2>/dev/null
done
"""
"""Tells that process to go on (USR1) or to end (TERM): the one that has our word; grep's own has it in brackets."""


def running(document: Mapping[str, Any], name: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """(specification, status) of the container that is asked for, else of the pod's default one, else of its first.

    Raises UsageError for a name that it has not, NodeError where it does not run.
    """
    pods = {str(spec.get("name")): (kind, spec, status) for kind, spec, status in containers_of(document)}
    plain = [key for key, (kind, _, _) in pods.items() if kind == "container"]
    notes = (document.get("metadata") or {}).get("annotations") or {}
    chosen = name or (notes.get(DEFAULT) if notes.get(DEFAULT) in plain else next(iter(plain), ""))
    if chosen not in pods:
        raise UsageError(f"the pod has no container {name!r}: it has {', '.join(pods) or 'none'}")
    _, spec, status = pods[chosen]
    if not (status.get("state") or {}).get("running"):
        state = next(iter(status.get("state") or {}), "not started")
        raise NodeError(f"container {chosen} does not run ({state}): there is no process to look at")
    return spec, status


def began(document: Mapping[str, Any]) -> dict[str, float]:
    """Ids of the running containers, and when the API says that they began, in seconds since 1970."""
    times = {}
    for _, _, status in containers_of(document):
        started = ((status.get("state") or {}).get("running") or {}).get("startedAt")
        for ident in container_ids(status)[:1]:
            try:
                times[ident] = datetime.fromisoformat(str(started)).timestamp()
            except ValueError:
                continue  # then its first process says so
    return times


User = tuple[int | None, int | None]
"""User and group in numbers; None: as the image says."""


def user_of(document: Mapping[str, Any], container: Mapping[str, Any], asked: str = "") -> User:
    """(user, group) to run as: as asked (`UID[:GID]`), else the container's own where its specification names one, else
    the image's of ours, (None, None). Raises UsageError where the pod must not run as root and names nobody."""
    if asked:
        match = re.fullmatch(r"(\d{1,10})(?::(\d{1,10}))?", asked)
        if not match:
            raise UsageError(f"--user {asked!r}: write UID or UID:GID, in numbers")
        return int(match[1]), int(match[2]) if match[2] else None
    of_pod = (document.get("spec") or {}).get("securityContext") or {}
    security = {**of_pod, **(container.get("securityContext") or {})}
    user, group = security.get("runAsUser"), security.get("runAsGroup")
    if isinstance(user, int):
        return user, group if isinstance(group, int) else None
    if security.get("runAsNonRoot"):
        raise UsageError("the pod must not run as root, and names no user: give the one of its image with --user UID")
    return None, None


def ephemeral(run: str, target: str, image: str, user: User, grace: int = 900) -> dict[str, Any]:
    """The container; within Pod Security's level `restricted` if it does not run as root."""
    security: dict[str, Any] = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    for key, value in zip(("runAsUser", "runAsGroup"), user, strict=True):
        if value is not None:
            security[key] = value
    if user[0]:
        security |= {
            "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        }  # fmt: skip
    return {
        "name": name_of(run), "image": image, "imagePullPolicy": "IfNotPresent", "targetContainerName": target,
        "command": ["/bin/sh", "-c", KEEP.format(grace=grace), mark_of(run)], "securityContext": security,
    }  # fmt: skip


def name_of(run: str) -> str:
    """The container's name."""
    return f"memir-{run}"


def mark_of(run: str) -> str:
    """The last word of its process's arguments."""
    return f"memir-keep-{run}"


def signal_script(run: str, signal: str) -> str:
    """Sends a signal to the container's process."""
    return FIND.format(mark=mark_of(run)[1:], signal=signal)


def state_of(document: Mapping[str, Any], name: str) -> tuple[bool, str, bool]:
    """(whether it runs, why it does not, whether waiting is of no use) of an ephemeral container."""
    for kind, container, status in containers_of(document):
        if kind != "ephemeral" or container.get("name") != name:
            continue
        state = status.get("state") or {}
        if "running" in state:
            return True, "", False
        if "terminated" in state:
            return False, f"ended: {end_of(status)}".removesuffix(": "), True
        waiting = state.get("waiting") or {}
        reason = str(waiting.get("reason", ""))
        hopeless = reason in ("ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "ImagePullBackOff",
                              "CreateContainerError", "RunContainerError")  # fmt: skip
        return False, f"{reason}: {waiting.get('message', '')}".strip(": "), hopeless
    return False, "the pod has it not yet", False
