# SPDX-License-Identifier: Apache-2.0
"""Isolate the pod: a NetworkPolicy that selects a label of ours first, the label on the one pod second."""

from __future__ import annotations

from typing import Any

from memir.kube.apiobjects import ApiPod
from memir.respond.actions.kube_fields import pointer
from memir.respond.cluster import on_fargate
from memir.respond.plan import Step
from memir.respond.steps.base import (
    ISOLATE,
    Facts,
    make_object,
    manifest_meta,
    may,
    patch_fields,
    pod_path,
    short_name,
)

POLICIES = "networkpolicies"
FIELD = pointer("metadata", "labels", ISOLATE)


def isolate_pod(facts: Facts, pod: ApiPod) -> Step:
    """Two changes: the policy binds nobody until the pod has the label, and then only that pod."""
    ident, name = f"isolate-pod-{pod.namespace}-{pod.name}", short_name(facts, pod)
    if on_fargate(pod):
        return _fargate(ident, pod)
    collection = f"/apis/networking.k8s.io/v1/namespaces/{pod.namespace}/{POLICIES}"
    return Step(
        ident, "isolate-pod", f"Isolate pod {pod.namespace}/{pod.name}",
        "The intruder loses the way in and out of this one pod; its healthy replicas, which have the same labels, go"
        " on to serve.",
        "memir",
        "The label is taken from the pod, then the policy of ours is deleted.",
        (1, 30),
        (
            make_object(f"{ident}.policy", collection, policy(name, facts, pod)),
            patch_fields(f"{ident}.label", pod_path(pod), pod.uid, {FIELD: pod.labels.get(ISOLATE)}, {FIELD: name}),
        ),
        permissions=(
            *(may(verb, POLICIES, pod.namespace, group="networking.k8s.io") for verb in ("get", "create", "delete")),
            may("get", "pods", pod.namespace), may("patch", "pods", pod.namespace),
        ),
        triggers=("new connections of the pod fail, which its owner and the intruder see", "its probes may fail"),
        limits=tuple(limits_of(facts, pod)),
        subject=f"pod {pod.namespace}/{pod.name}",
    )  # fmt: skip


def _fargate(ident: str, pod: ApiPod) -> Step:
    """https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html: policies are for Linux EC2 nodes."""
    return Step(
        ident, "isolate-pod", f"Isolate pod {pod.namespace}/{pod.name}",
        "A policy that exists is no isolation: on Fargate nobody enforces it.",
        "hand", "There is nothing to take back.", (0, 0),
        limits=("what cuts it off: suspend it; or a network ACL of its subnet, which cuts off others there too; or,"
                " where a SecurityGroupPolicy gave it groups of its own, their rules (tracked sessions may go on)",),
        refused="NetworkPolicies do not bind pods on EKS Fargate: it would cut nothing",
        subject=f"pod {pod.namespace}/{pod.name}",
    )  # fmt: skip


def limits_of(facts: Facts, pod: ApiPod) -> list[str]:
    """Who enforces the policy, and what it will not cut."""
    enforcer = facts.cluster.enforcer()
    limits = []
    if enforcer.cuts:
        limits.append(f"enforced by {enforcer.name} ({enforcer.why})")
    elif enforcer.name == "unknown":
        limits.append(f"who enforces policies is not known ({enforcer.why}): it may cut nothing; try a connection")
    else:
        limits.append(f"CUTS NOTHING: nobody enforces policies here ({enforcer.why}); isolate the node in its place")
    if pod.host_network:
        limits.append("CUTS NOTHING: the pod uses the node's network, where policies do not bind; isolate the node")
    if enforcer.owned_only and not pod.owner:
        limits.append(
            "MAY CUT NOTHING: VPC CNI binds policies only to pods that have an owner, and this one has none"
            " (aws-network-policy-agent #327)"
        )
    limits.append("connections that are tracked already may go on until they end")
    if others := facts.cluster.policies(pod):
        limits.append(
            f"policies add up: what {', '.join(others)} allows this pod stays allowed while the pod has the labels that"
            " it selects"
        )
    elif "NetworkPolicy" not in facts.cluster.kinds:
        limits.append("policies add up: another one that selects the pod still allows what it allows (none was seen)")
    return limits


def policy(name: str, facts: Facts, pod: ApiPod) -> dict[str, Any]:
    """Denies everything in and out to pods with our label."""
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": manifest_meta(facts, name, pod.namespace),
        "spec": {"podSelector": {"matchLabels": {ISOLATE: name}}, "policyTypes": ["Ingress", "Egress"]},
    }  # fmt: skip
