# SPDX-License-Identifier: Apache-2.0
"""A plan from what was asked and what the cluster's view has: the steps, in an order with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from memir import __version__
from memir.errors import UsageError
from memir.kube.apiobjects import ApiPod
from memir.kubeapi.nodes import memory_of
from memir.respond.cluster import Cluster, on_fargate
from memir.respond.match import ENDED, Matches, Query, match, pod_target
from memir.respond.order import ORDERS, in_order
from memir.respond.plan import NodeTarget, Order, Plan, Step
from memir.respond.steps.acquire import acquire
from memir.respond.steps.base import Facts, Options
from memir.respond.steps.collect import collect
from memir.respond.steps.cordon import cordon
from memir.respond.steps.detach import detach
from memir.respond.steps.hold import hold_node, hold_pod
from memir.respond.steps.hold_instance import hold_instance
from memir.respond.steps.isolate_node import isolate_node
from memir.respond.steps.isolate_pod import isolate_pod
from memir.respond.steps.pause import pause
from memir.respond.steps.revoke_account import revoke_account
from memir.respond.steps.revoke_profile import revoke_profile
from memir.respond.steps.revoke_role import revoke_role
from memir.respond.steps.snapshot_volumes import snapshot_volumes
from memir.respond.steps.suspend import suspend

AUTO_MODE: Mapping[str, str] = {
    "hold": "the annotations of the node hold it against consolidation, nothing against its end of life",
    "snapshot-volumes": "the pod's own volumes (PersistentVolumes) may be snapshot by hand, the node's disk may not;"
    " the RAM has what the page cache holds",
    "isolate-node": "isolate the pods of the node one by one, and cordon it; or a NetworkPolicy for each namespace",
    "revoke": "the node's role may be denied in IAM (aws:TokenIssueTime), which ends every node that has it",
}
"""What there is in the place of a step, by its kind."""
MAX_PODS = 200
"""Pods of one plan: more is read by nobody."""


def make_plan(
    cluster: Cluster, query: Query, asked: Mapping[str, str], made: str, *, order: Order = "memory-first",
    options: Options | None = None,
) -> Plan:  # fmt: skip
    """asked: the query as words, for the plan. made: UTC, ISO 8601. Raises UsageError for a query that names none."""
    matches = match(cluster, query)
    if len(matches.pods) > MAX_PODS:
        raise UsageError(f"{len(matches.pods)} pods match, more than {MAX_PODS}: plan for a node, or a narrower query")
    digest = hashlib.sha256(repr((made, sorted(asked.items()))).encode()).hexdigest()
    facts = Facts(f"memir-{digest[:8]}", cluster, options or Options())
    steps, moved = in_order(_steps(facts, matches), order)
    return Plan(
        1, facts.plan_id, made, __version__, dict(asked), cluster.source, order, ORDERS[order][1],
        tuple(pod_target(pod, why, cluster.snapshot.role_of(pod)) for pod, why in matches.pods),
        tuple(matches.nodes), tuple(steps), (*matches.notes, *moved, *_notes(cluster)), facts.options.choices,
    )  # fmt: skip


def _steps(facts: Facts, matches: Matches) -> list[Step]:
    """Of all kinds; within a kind node by node, pod by pod."""
    pods = [pod for pod, _ in matches.pods if pod.phase not in ENDED]
    steps = [step for node in matches.nodes for step in _of_node(facts, node)]
    for pod in pods:
        steps += [
            hold_pod(facts, pod), collect(facts, pod), isolate_pod(facts, pod), detach(facts, pod), pause(facts, pod),
        ]  # fmt: skip
        steps += [suspend(facts, pod)] if on_fargate(pod) else []
    steps += [revoke_account(facts, *account) for account in _accounts(pods)]
    if any(node.instance_id for node in matches.nodes):
        steps += [_role(facts, pods, *account) for account in _accounts(pods)]
    return steps


def _of_node(facts: Facts, node: NodeTarget) -> list[Step]:
    memory = memory_of(facts.cluster.object("Node", "", node.name))
    if node.kind == "fargate":
        return [acquire(facts, node, memory)]
    ours = [hold_node(facts, node), acquire(facts, node, memory), cordon(facts, node)]
    if not node.instance_id:
        return ours
    choices = facts.options.choices
    snapshots = snapshot_volumes(node, None, choices)
    lacking = [hold_instance(node, None, choices), isolate_node(facts.plan_id, node, None), revoke_profile(node, None)]
    if node.kind == "auto":
        return [*ours, *(_locked(step) for step in (snapshots, *lacking))]
    return [*ours, snapshots, *lacking]


def _locked(step: Step) -> Step:
    """A step that EKS Auto Mode refuses: instance, interfaces, volumes and profile are its own (EC2 Operator).

    https://docs.aws.amazon.com/eks/latest/userguide/automode.html, "Managed instances" in the EC2 guide
    """
    instead = AUTO_MODE[step.kind]
    return replace(
        step, unresolved=(), changes=(), permissions=(), refused=f"EKS Auto Mode locks what it would change: {instead}"
    )  # fmt: skip


def _role(facts: Facts, pods: Sequence[ApiPod], namespace: str, account: str) -> Step:
    """The step of a pod's IAM role; whether Pod Identity gives one is AWS's to say."""
    of_account = [pod for pod in pods if (pod.namespace, pod.service_account or "default") == (namespace, account)]
    roles = [role for pod in of_account if (role := pod.iam_role or facts.cluster.snapshot.role_of(pod))]
    return revoke_role(
        facts.plan_id, namespace, account, roles[0] if roles else None, pod_identity=None, cluster_name="",
        cluster=facts.cluster,
    )  # fmt: skip


def _accounts(pods: Sequence[ApiPod]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((pod.namespace, pod.service_account or "default") for pod in pods))


def _notes(cluster: Cluster) -> list[str]:
    notes = [f"not read from the API: {why}" for why in cluster.source.unread]
    if not any(kind == "Node" for kind in cluster.kinds):
        notes.append("the snapshot has no nodes: which kind they are and how much RAM they have is not known")
    return notes
