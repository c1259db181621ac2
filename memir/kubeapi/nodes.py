# SPDX-License-Identifier: Apache-2.0
"""Nodes by label, from the Kubernetes API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from memir.errors import NodeError
from memir.kubeapi.client import KubeOptions, calling, get_json, make_api

INSTANCE = re.compile(r"aws:///[^/]+/(i-[0-9a-f]{8,32})")
QUANTITY = re.compile(r"([0-9]{1,18})(Ki|Mi|Gi|Ti|k|M|G|T|)")
UNITS = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}  # fmt: skip


def node_names(selector: str, kube: KubeOptions) -> Sequence[str]:
    """Names of the nodes that carry the labels. Raises NodeError when there is none."""
    return [str(node["metadata"]["name"]) for node in _nodes(selector, kube)]


def instances(selector: str, kube: KubeOptions) -> Sequence[str]:
    """EC2 instance ids of the nodes that carry the labels, for SSM.

    Raises NodeError for a node that is no instance, and for those that no command over SSM reaches (no_ssm).
    """
    nodes = _nodes(selector, kube)
    if closed := {str(node["metadata"]["name"]): why for node in nodes if (why := no_ssm(node))}:
        raise NodeError(
            f"{'; '.join(f'node {name} {why}' for name, why in closed.items())}: use memir acquire pod "
            f"{' '.join(f'--node {name}' for name in closed)}"
            + (", and SSM for the others (--instance-id, or a narrower --selector)" if len(closed) < len(nodes) else "")
        )
    return [instance_of(node) for node in nodes]


def instance_of(node: Mapping[str, Any]) -> str:
    """The EC2 instance id of a node as the API server has it. Raises NodeError for one that is no instance."""
    provider = str((node.get("spec") or {}).get("providerID") or "")
    match = INSTANCE.fullmatch(provider)
    if not match:
        name = (node.get("metadata") or {}).get("name")
        raise NodeError(f"node {name} is no EC2 instance ({provider or 'no provider id'}): Fargate has no node")
    return match[1]


def no_ssm(node: Mapping[str, Any]) -> str:
    """Why a command over SSM does not reach this node, "" where it may.

    EKS Auto Mode: https://docs.aws.amazon.com/eks/latest/userguide/associate-workload.html (its label) and
    automode.html (no SSM, no SSH); Bottlerocket: https://github.com/bottlerocket-os/bottlerocket-control-container
    """
    metadata, status = node.get("metadata"), node.get("status")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    if isinstance(labels, Mapping) and labels.get("eks.amazonaws.com/compute-type") == "auto":
        return "is EKS Auto Mode's, which has no SSM agent and no SSH"
    info = status.get("nodeInfo") if isinstance(status, Mapping) else None
    if isinstance(info, Mapping) and str(info.get("osImage", "")).startswith("Bottlerocket"):
        return "runs Bottlerocket, where SSM lands in a container beside the node"
    return ""


def memory_of(node: Mapping[str, Any]) -> int:
    """Bytes of the node's RAM as its kubelet tells it (status.capacity.memory, mostly in Ki), 0 where it does not.

    Quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    status = node.get("status")
    capacity = status.get("capacity") if isinstance(status, Mapping) else None
    match = QUANTITY.fullmatch(str(capacity.get("memory", ""))) if isinstance(capacity, Mapping) else None
    return int(match[1]) * UNITS[match[2]] if match else 0


def _nodes(selector: str, kube: KubeOptions) -> list[dict[str, Any]]:
    api = make_api(kube)
    with calling("list nodes", selector):
        answer = get_json(api, "/api/v1/nodes", {"labelSelector": selector})
    items = answer.get("items")
    nodes = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    nodes = [node for node in nodes if isinstance((node.get("metadata") or {}).get("name"), str)]
    if not nodes:
        raise NodeError(f"no node carries the labels {selector!r}: look with `kubectl get nodes -l {selector!r}`")
    return nodes
