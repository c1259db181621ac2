# SPDX-License-Identifier: Apache-2.0
"""Hold: nothing that scales, drains or tidies up takes the pod or its node away while it is looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from memir.kube.apiobjects import ApiPod
from memir.respond.actions.kube_fields import pointer
from memir.respond.cluster import Cluster, Json, annotations_of, labels_of, meta, part, path_of
from memir.respond.plan import Change, NodeTarget, Step, Value
from memir.respond.steps.base import (
    INCIDENT,
    Facts,
    make_object,
    manifest_meta,
    may,
    node_path,
    patch_fields,
    pod_path,
    short_name,
)

KARPENTER = "karpenter.sh/do-not-disrupt"
AUTOSCALER_NODE = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
AUTOSCALER_POD = "cluster-autoscaler.kubernetes.io/safe-to-evict"
AUTO_MODE_LIFE = timedelta(days=21)


def hold_node(facts: Facts, node: NodeTarget) -> Step:
    """Annotations for Karpenter and the Cluster Autoscaler, and our label."""
    item = facts.cluster.object("Node", "", node.name)
    notes, labels = annotations_of(item), labels_of(item)
    before: dict[str, Value] = {
        pointer("metadata", "annotations", KARPENTER): notes.get(KARPENTER),
        pointer("metadata", "annotations", AUTOSCALER_NODE): notes.get(AUTOSCALER_NODE),
        pointer("metadata", "labels", INCIDENT): labels.get(INCIDENT),
    }
    after: dict[str, Value] = dict(zip(before, ("true", "true", facts.plan_id), strict=True))
    return Step(
        f"hold-node-{node.name}", "hold", f"Hold node {node.name}",
        "A node that Karpenter consolidates or the Cluster Autoscaler removes takes its RAM with it.",
        "memir",
        "Both annotations and the label are set back to what they were.",
        (1, 5),
        (patch_fields(f"hold-node-{node.name}.fields", node_path(node), node.uid, before, after),),
        permissions=(may("get", "nodes", name=node.name), may("patch", "nodes", name=node.name)),
        triggers=("the audit log has the patch",),
        limits=tuple(_node_limits(facts.cluster, node, item)),
        subject=f"node {node.name}",
    )  # fmt: skip


def _node_limits(cluster: Cluster, node: NodeTarget, item: Json) -> list[str]:
    limits = [f"{KARPENTER} stops neither expiration nor node repair{_time_left(cluster, node, item)}"]
    if node.kind == "auto":
        limits.append("EKS Auto Mode: the instance, its interfaces and its profile are locked: only these annotations")
    elif node.kind in ("node-group", "other", "unknown"):
        limits.append("Auto Scaling does not read annotations: see the step that protects the instance there")
    limits.append("a spot instance can be taken by EC2 with two minutes' notice; nothing stops that")
    return limits


def _time_left(cluster: Cluster, node: NodeTarget, item: Json) -> str:
    """When the node expires, as far as its NodeClaim tells."""
    for claim in cluster.of_kind("NodeClaim"):
        if part(claim, "status").get("nodeName") == node.name:
            life, born = _duration(part(claim, "spec").get("expireAfter")), _moment(meta(claim))
            if life is not None and born is not None:
                return f"; its NodeClaim expires at {(born + life).isoformat()}"
            return "; its NodeClaim names no expiration" if part(claim, "spec").get("expireAfter") == "Never" else ""
    born = _moment(meta(item))
    if node.kind == "auto" and born is not None:
        return f"; Auto Mode ends it by {(born + AUTO_MODE_LIFE).isoformat()}"
    return "; when it expires is not in the snapshot" if node.kind == "karpenter" else ""


def _duration(text: Any) -> timedelta | None:
    """Go's duration as Karpenter writes it: 720h, 1h30m."""
    import re

    if not isinstance(text, str) or not re.fullmatch(r"(\d{1,9}[hms])+", text):
        return None
    units = {"h": 3600, "m": 60, "s": 1}
    seconds = sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)([hms])", text))
    return timedelta(seconds=seconds) if seconds < 10**10 else None


def _moment(about: Json) -> datetime | None:
    try:
        return datetime.fromisoformat(str(about.get("creationTimestamp"))).astimezone(UTC)
    except ValueError:
        return None


def hold_pod(facts: Facts, pod: ApiPod) -> Step:
    """Annotations against eviction, a PodDisruptionBudget, a finished Job kept."""
    ident = f"hold-pod-{pod.namespace}-{pod.name}"
    before: dict[str, Value] = {
        pointer("metadata", "annotations", KARPENTER): pod.annotations.get(KARPENTER),
        pointer("metadata", "annotations", AUTOSCALER_POD): pod.annotations.get(AUTOSCALER_POD),
        pointer("metadata", "labels", INCIDENT): pod.labels.get(INCIDENT),
    }
    after: dict[str, Value] = dict(zip(before, ("true", "false", short_name(facts, pod)), strict=True))
    budgets = "/apis/policy/v1/namespaces/" + pod.namespace + "/poddisruptionbudgets"
    changes = [
        make_object(f"{ident}.budget", budgets, _budget(facts, pod)),
        patch_fields(f"{ident}.fields", pod_path(pod), pod.uid, before, after),
    ]
    rights = [
        may("get", "pods", pod.namespace), may("patch", "pods", pod.namespace),
        *(may(verb, "poddisruptionbudgets", pod.namespace, group="policy") for verb in ("get", "create", "delete")),
    ]  # fmt: skip
    limits = ["a PodDisruptionBudget stops evictions, no deletion: a controller or a person may delete the pod"]
    if scaler := facts.cluster.autoscaler(pod):
        limits.append(f"HorizontalPodAutoscaler {scaler} may scale the workload down, and this pod with it")
    if (change := _job(facts, pod, ident, limits)) is not None:
        changes.append(change)
        rights += [may("get", "jobs", pod.namespace, group="batch"), may("patch", "jobs", pod.namespace, group="batch")]
    return Step(
        ident, "hold", f"Hold pod {pod.namespace}/{pod.name}",
        "A pod that is drained or tidied away takes its processes, its writable layer and its logs with it.",
        "memir",
        "The annotations and the label are set back, the budget of ours is deleted.",
        (1, 5), tuple(changes), permissions=tuple(rights),
        triggers=("the audit log has the patch and the new object",), limits=tuple(limits),
        subject=f"pod {pod.namespace}/{pod.name}",
    )  # fmt: skip


def _budget(facts: Facts, pod: ApiPod) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": manifest_meta(facts, short_name(facts, pod), pod.namespace),
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {INCIDENT: short_name(facts, pod)}}},
    }  # fmt: skip


def _job(facts: Facts, pod: ApiPod, ident: str, limits: list[str]) -> Change | None:
    """A Job whose finished pods are deleted after a while keeps them."""
    kind, name, item = facts.cluster.owner(pod)
    if kind != "Job":
        return None
    spec = part(item, "spec")
    if isinstance(spec.get("activeDeadlineSeconds"), int):
        limits.append(f"Job {name} ends its pods {spec['activeDeadlineSeconds']} s after its start; that is immutable")
    seconds = spec.get("ttlSecondsAfterFinished")
    if not isinstance(seconds, int):
        return None
    field = pointer("spec", "ttlSecondsAfterFinished")
    return patch_fields(
        f"{ident}.job", path_of("Job", pod.namespace, name), str(meta(item).get("uid") or ""),
        {field: seconds}, {field: None},
    )  # fmt: skip
