# SPDX-License-Identifier: Apache-2.0
"""Detach: the pod leaves its Services and lives on; where its owner can be kept, it is kept.

Labels that only the Services select are enough to leave them. Where every label that a Service selects is one that the
owner selects too, taking one away orphans the pod: a ReplicaSet or DaemonSet makes another, a StatefulSet waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memir.kube.apiobjects import ApiPod
from memir.respond.actions.kube_fields import pointer
from memir.respond.actions.kube_room import REPLICAS
from memir.respond.cluster import meta, on_fargate, part, path_of, texts
from memir.respond.plan import Change, Permission, Step, Value
from memir.respond.steps.base import Facts, may, patch_fields, pod_path

COST = "controller.kubernetes.io/pod-deletion-cost"
HIGHEST = "2147483647"
COUNTED = ("ReplicaSet", "ReplicationController")
"""Owners that delete a surplus pod when an orphan returns; a DaemonSet keeps the oldest on a node."""


def detach(facts: Facts, pod: ApiPod) -> Step:
    """The labels to take away, and what undo needs so that the pod survives it."""
    ident, where = f"detach-{pod.namespace}-{pod.name}", f"{pod.namespace}/{pod.name}"
    kind, owner, item = facts.cluster.owner(pod)
    services = facts.cluster.services(pod)
    unresolved, refused, limits = _unknown(facts, kind, owner, bool(item)), "", []
    owned = _selector(kind, item)
    taken = labels_to_take([selector for _, selector in services], owned)
    orphaned = bool(owned.keys() & set(taken))
    enforcer = facts.cluster.enforcer()
    if orphaned and enforcer.owned_only and not (facts.options.accept_orphan or on_fargate(pod)):
        refused = (
            f"every label that Service {', '.join(name for name, _ in services)} selects is one that {kind} {owner}"
            f" selects too: without it the pod has no owner, and {enforcer.name or 'VPC CNI'} may no longer bind its"
            " isolation (aws-network-policy-agent #327). Give the Service a label of its own in its selector, isolate"
            " the node, or take that risk with --accept-orphan"
        )
    if not services:
        limits.append("no Service selects the pod: there is nothing to take it out of")
    changes, rights = _changes(facts, pod, ident, taken, orphaned) if services else ((), ())
    limits += _limits(facts, pod, kind, orphaned)
    return Step(
        ident, "detach", f"Detach pod {where} from {', '.join(name for name, _ in services) or 'no Service'}",
        "Clients are no longer sent to a pod that is isolated or held by an intruder; the pod itself stays.",
        "memir",
        _undo(facts, pod, kind, orphaned),
        (1, 10),
        () if refused or unresolved else changes,
        permissions=() if refused or unresolved else rights,
        triggers=_triggers(kind, owner, orphaned) if services else (),
        limits=tuple(limits), unresolved=unresolved, refused=refused, subject=f"pod {where}",
    )  # fmt: skip


def labels_to_take(services: Sequence[Mapping[str, str]], owned: Mapping[str, str]) -> list[str]:
    """For each Service one label of its selector, one that the owner does not select if there is such."""
    taken: list[str] = []
    for selector in services:
        if not set(taken) & selector.keys():
            free = sorted(selector.keys() - owned.keys())
            taken.append(free[0] if free else sorted(selector)[0])
    return taken


def _unknown(facts: Facts, kind: str, owner: str, known: bool) -> tuple[str, ...]:
    facts_missing = []
    if "Service" not in facts.cluster.kinds:
        facts_missing.append("which Services select the pod: the snapshot has none (kubectl get services -A -o json)")
    if kind and not known:
        facts_missing.append(f"which labels {kind} {owner} selects: it is not in the snapshot")
    return tuple(facts_missing)


def _selector(kind: str, item: Mapping[str, object]) -> Mapping[str, str]:
    """Labels that the owner must see on the pod, by key."""
    if kind == "ReplicationController":
        return texts(item, "spec", "selector")
    selector = dict(texts(item, "spec", "selector", "matchLabels"))
    rules = part(item, "spec", "selector").get("matchExpressions")
    for rule in rules if isinstance(rules, list) else []:
        if isinstance(rule, Mapping):
            selector[str(rule.get("key"))] = ""
    return selector


def _changes(
    facts: Facts, pod: ApiPod, ident: str, taken: list[str], orphaned: bool
) -> tuple[tuple[Change, ...], tuple[Permission, ...]]:
    rights = [may("get", "pods", pod.namespace), may("patch", "pods", pod.namespace)]
    before: dict[str, Value] = {pointer("metadata", "labels", key): pod.labels[key] for key in taken}
    changes = [
        patch_fields(
            f"{ident}.labels", pod_path(pod), pod.uid, before, dict.fromkeys(before),
            irreversible=_no_way_back(facts, pod) if orphaned else "",
        )
    ]  # fmt: skip
    kind, name, item = facts.cluster.workload(pod)
    if orphaned and pod.owner and pod.owner.partition("/")[0] in COUNTED and item and not changes[0].irreversible:
        cost = pointer("metadata", "annotations", COST)
        path, replicas = path_of(kind, pod.namespace, name), part(item, "spec").get("replicas")
        owner = path_of(*_named(pod.owner, pod.namespace))
        calls = (f"GET {path}", f"at undo: PATCH {path} spec.replicas one higher")
        changes = [
            patch_fields(
                f"{ident}.cost", pod_path(pod), pod.uid, {cost: pod.annotations.get(COST)}, {cost: HIGHEST},
                irreversible="it is left on purpose: without it the pod may be the first to go when the count sinks",
            ),
            Change(
                f"{ident}.room", "kube-room", path, calls, str(meta(item).get("uid") or ""),
                {REPLICAS: replicas if isinstance(replicas, int) else 1}, {},
                needs={"pod": pod_path(pod), "pod_uid": pod.uid, "owner": owner},
            ),
            *changes,
        ]  # fmt: skip
        resource = f"{kind.lower()}s"
        group = "" if kind == "ReplicationController" else "apps"
        rights += [may(verb, resource, pod.namespace, group=group) for verb in ("get", "patch")]
        if kind == "Deployment":
            rights.append(may("get", "replicasets", pod.namespace, group="apps"))
    return tuple(changes), tuple(rights)


def _named(owner: str, namespace: str) -> tuple[str, str, str]:
    kind, _, name = owner.partition("/")
    return kind, namespace, name


def _no_way_back(facts: Facts, pod: ApiPod) -> str:
    """Why labels that are given back put the pod at risk, "" where undo can keep it."""
    kind = (pod.owner or "").partition("/")[0]
    if kind == "Job":
        return "a Job that adopts the pod again has one more than it wants, and deletes one of them"
    if scaler := facts.cluster.autoscaler(pod):
        return f"HorizontalPodAutoscaler {scaler} owns the count: room for the pod does not last, and one is deleted"
    if kind in COUNTED and not facts.cluster.workload(pod)[2]:
        return "the workload that owns the count is not in the snapshot: no room can be made for the pod"
    return ""


def _undo(facts: Facts, pod: ApiPod, kind: str, orphaned: bool) -> str:
    if not orphaned:
        return "The labels are given back; the owner never changed."
    if why := _no_way_back(facts, pod):
        return f"Cannot be undone without risk, because {why}."
    if kind in COUNTED:
        return (
            "The workload's count is set one higher, then the labels are given back. The count stays one higher: a"
            " lower one would delete a pod, and while the suspect is kept that must not be it. Refused while the pod is"
            " not ready."
        )
    if kind == "DaemonSet":
        return "The labels are given back; the DaemonSet keeps the oldest of its pods on the node, which is this one."
    return "The labels are given back; the owner adopts the pod again."


def _triggers(kind: str, owner: str, orphaned: bool) -> tuple[str, ...]:
    leave = "the pod leaves the endpoints of the Service"
    if not orphaned:
        return (leave,)
    if kind == "StatefulSet":
        return (leave, f"StatefulSet {owner} makes no replacement until this pod is gone: one replica less serves")
    if kind:
        return (leave, f"{kind} {owner} lets the pod go and makes another in its place")
    return (leave,)


def _limits(facts: Facts, pod: ApiPod, kind: str, orphaned: bool) -> list[str]:
    limits = ["clients that are connected already stay connected"]
    if orphaned and facts.cluster.enforcer().owned_only and not on_fargate(pod):
        limits.append("VPC CNI binds policies only to pods that have an owner: the isolation may stop binding")
    if orphaned and kind == "Job" and pod.phase not in ("Succeeded", "Failed"):
        limits.append("the Job runs its work again in the new pod")
    return limits
