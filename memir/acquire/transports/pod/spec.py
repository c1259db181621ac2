# SPDX-License-Identifier: Apache-2.0
"""The pod that memir puts on a node, and what is wrong with one that does not start."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memir.acquire.node_files import node_script
from memir.kubeapi.pod import end_of

APP = "memir-acquire"
CONTAINER = "memir"
SHM = "/dev/shm"
HELPER_FOLDER = "/memir"
HELPER = f"{HELPER_FOLDER}/helper"
LEAST_DEADLINE = 6 * 3600
SLOW = 10 << 20
"""Bytes a second that an exec through an API server far away still gives."""


@dataclass(frozen=True, slots=True)
class PodOptions:
    """How the pod looks.

    image: any, where helper is given; else it must have sh, head, tail, base64, mkfifo and setsid, and python3, or bash
    and curl, for uploads from the node. helper: the static program that does the steps (node/helper.c), which the pod
    gets from a Secret; None: a shell of the image does. host_pid: only to list the node's processes; RAM needs it not.
    host_network: where the node's network may reach the bucket and a pod's may not. deadline: seconds after which the
    kubelet stops it whatever happens; 0: what the node's RAM takes (deadline_of). rate: bytes a second at most, 0 is no
    limit.
    """

    namespace: str = "default"
    image: str = "public.ecr.aws/amazonlinux/amazonlinux:2023"
    host_pid: bool = False
    host_network: bool = False
    deadline: int = 0
    rate: int = 0
    grace: int = 900
    start_seconds: float = 180.0
    pull_secret: str = ""
    service_account: str = ""
    helper: Path | None = None

    @property
    def command(self) -> list[str]:
        """The container's only process."""
        if self.helper is not None:
            return [HELPER, "keep", str(self.grace)]
        return ["/bin/sh", "-c", node_script("keep", GRACE=self.grace)]


def deadline_of(memory: int, rate: int) -> int:
    """Seconds that a pod may live: twice what `memory` bytes take at `rate` bytes a second, 6 hours at least.

    Without a limit a slow way out is reckoned with: a capture that the kubelet stops in its middle is lost.
    """
    return max(LEAST_DEADLINE, 2 * memory // (rate or SLOW))


def manifest(node: str, run: str, options: PodOptions) -> dict[str, Any]:
    """The pod, pinned to the node by name; no disk of the node, no token, a directory in memory."""
    spec: dict[str, Any] = {
        "nodeName": node,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": options.deadline or deadline_of(0, options.rate),
        "terminationGracePeriodSeconds": 2,
        "tolerations": [{"operator": "Exists"}],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostPID": options.host_pid,
        "hostNetwork": options.host_network,
        "containers": [
            {
                "name": CONTAINER,
                "image": options.image,
                "imagePullPolicy": "IfNotPresent",
                "command": options.command,
                "securityContext": {"privileged": True, "runAsUser": 0, "readOnlyRootFilesystem": True},
                # small requests: a pod that is pinned past the scheduler is refused by a full node's kubelet
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                "volumeMounts": [{"name": "memory", "mountPath": SHM}],
            }
        ],
        "volumes": [{"name": "memory", "emptyDir": {"medium": "Memory"}}],
    }
    if options.helper is not None:
        spec["containers"][0]["volumeMounts"].append({"name": "helper", "mountPath": HELPER_FOLDER, "readOnly": True})
        spec["volumes"].append({"name": "helper", "secret": {"secretName": secret_name(run), "defaultMode": 0o555}})
    if options.service_account:
        spec["serviceAccountName"] = options.service_account
    if options.pull_secret:
        spec["imagePullSecrets"] = [{"name": options.pull_secret}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"memir-{run}-",
            "labels": {"app.kubernetes.io/name": APP, "memir/run": run, "memir/node": label(node)},
            "annotations": {"memir/purpose": "memory acquisition by a responder; removes itself"},
        },
        "spec": spec,
    }


def secret_name(run: str) -> str:
    """Name of the Secret that carries the helper."""
    return f"memir-helper-{run}"


def secret(run: str, pod: Mapping[str, Any], program: bytes) -> dict[str, Any]:
    """The Secret with the helper, owned by the pod: it goes with it, even when the controller is gone.

    The kubelet keeps Secrets on a tmpfs, so that nothing of it reaches the node's disk.
    """
    meta = pod["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": {
            "name": secret_name(run),
            "labels": {"app.kubernetes.io/name": APP, "memir/run": run},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta.get("uid", "")}],
        },
        "data": {"helper": base64.b64encode(program).decode()},
    }


def label(node: str) -> str:
    """A node's name as a label's value: 63 characters at most."""
    return node[:63].rstrip("-.")


def selector(node: str) -> str:
    """Selects memir's pods on a node."""
    return f"app.kubernetes.io/name={APP},memir/node={label(node)}"


def ended(pod: Mapping[str, Any]) -> bool:
    """Whether the pod runs no more."""
    return phase(pod) in ("Succeeded", "Failed")


def phase(pod: Mapping[str, Any]) -> str:
    """Its phase."""
    return str((pod.get("status") or {}).get("phase", ""))


def trouble(pod: Mapping[str, Any]) -> tuple[str, bool]:
    """Why the pod does not run yet, and whether waiting is of no use; ("", False) while it simply starts."""
    status = pod.get("status") or {}
    if ended(pod):
        of_pod = f"{status.get('reason') or ''} {status.get('message') or ''}".strip()
        reasons = [of_pod, *map(end_of, status.get("containerStatuses") or [])]
        return f"{status.get('phase')}: {'; '.join(filter(None, reasons)) or 'no reason is given'}", True
    for entry in status.get("containerStatuses") or []:
        waiting = (entry.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason", ""))
        if reason and reason not in ("ContainerCreating", "PodInitializing"):
            hopeless = reason in ("ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError")
            hopeless = hopeless or reason in ("ImagePullBackOff", "CreateContainerError")
            return f"{reason}: {waiting.get('message', '')}".strip(), hopeless
    for entry in status.get("conditions") or []:
        if entry.get("status") == "False" and entry.get("reason") == "Unschedulable":
            return str(entry.get("message", "")), False
    return "", False
