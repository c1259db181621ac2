# SPDX-License-Identifier: Apache-2.0
"""Cordon: no new pod is put on the node; those that are there stay."""

from __future__ import annotations

from memir.respond.actions.kube_fields import pointer
from memir.respond.cluster import part
from memir.respond.plan import NodeTarget, Step
from memir.respond.steps.base import Facts, may, node_path, patch_fields

FIELD = pointer("spec", "unschedulable")


def cordon(facts: Facts, node: NodeTarget) -> Step:
    """spec.unschedulable."""
    item = facts.cluster.object("Node", "", node.name)
    before = True if part(item, "spec").get("unschedulable") is True else None
    return Step(
        f"cordon-{node.name}", "cordon", f"Cordon node {node.name}",
        "New pods would share a kernel with the intruder. It is the last step, so that a replacement of the suspect"
        " is not kept pending for a node that nobody decided to give up.",
        "memir",
        "spec.unschedulable is set back to what it was.",
        (1, 5),
        (patch_fields(f"cordon-{node.name}.fields", node_path(node), node.uid, {FIELD: before}, {FIELD: True}),),
        permissions=(may("get", "nodes", name=node.name), may("patch", "nodes", name=node.name)),
        triggers=(
            "the node controller adds the taint node.kubernetes.io/unschedulable",
            "Karpenter or the Cluster Autoscaler may start another node",
        ),
        limits=("DaemonSets' pods are still put there", "do not drain: that deletes what is to be looked at"),
        subject=f"node {node.name}",
    )  # fmt: skip
