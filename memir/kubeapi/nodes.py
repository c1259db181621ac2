# SPDX-License-Identifier: Apache-2.0
"""Nodes by label, from the Kubernetes API."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from memir.errors import NodeError
from memir.kubeapi.client import KubeOptions, calling, get_json, make_api

INSTANCE = re.compile(r"aws:///[^/]+/(i-[0-9a-f]{8,32})")


def node_names(selector: str, kube: KubeOptions) -> Sequence[str]:
    """Names of the nodes that carry the labels. Raises NodeError when there is none."""
    return [str(node["metadata"]["name"]) for node in _nodes(selector, kube)]


def instances(selector: str, kube: KubeOptions) -> Sequence[str]:
    """EC2 instance ids of the nodes that carry the labels. Raises NodeError for a node that is no instance."""
    found = []
    for node in _nodes(selector, kube):
        provider = str((node.get("spec") or {}).get("providerID") or "")
        match = INSTANCE.fullmatch(provider)
        if not match:
            name = node["metadata"]["name"]
            raise NodeError(f"node {name} is no EC2 instance ({provider or 'no provider id'}): Fargate has no node")
        found.append(match[1])
    return found


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
