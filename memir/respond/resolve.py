# SPDX-License-Identifier: Apache-2.0
"""Fill in what only AWS knows: the steps that lack it are made again with it."""

from __future__ import annotations

from dataclasses import replace

from memir.respond.account import InstanceFacts, ask_holders, ask_instance, ask_role
from memir.respond.actions.base import World
from memir.respond.actions.eks_access_entry import entry_state
from memir.respond.plan import Plan, PodTarget, Step
from memir.respond.steps.hold_instance import hold_instance
from memir.respond.steps.isolate_node import isolate_node
from memir.respond.steps.revoke_profile import revoke_profile
from memir.respond.steps.revoke_role import revoke_role
from memir.respond.steps.snapshot_volumes import snapshot_volumes


def resolve(plan: Plan, world: World, cluster: str = "") -> Plan:
    """The plan with the facts that AWS has, by reads alone. cluster: the EKS cluster's name, where no tag tells it.

    Raises StateError for an instance that is gone, RemoteError.
    """
    made: dict[str, Step] = {}
    for node in plan.nodes:
        lacking = {step.id for step in plan.steps if step.unresolved and step.subject == f"node {node.name}"}
        if not node.instance_id or not (lacking or _accounts(plan)):
            continue
        facts: InstanceFacts = ask_instance(world, node.instance_id)
        cluster = cluster or facts.cluster
        for step in (
            hold_instance(node, facts, plan.choices), snapshot_volumes(node, facts, plan.choices),
            isolate_node(plan.id, node, facts), revoke_profile(node, facts),
        ):  # fmt: skip
            made[step.id] = step
    if cluster:
        for namespace, account in _accounts(plan):
            of_account = [pod for pod in plan.pods if _account(pod) == (namespace, account)]
            role = next((pod.role for pod in of_account if pod.role), None)
            given = ask_role(world, cluster, namespace, account)
            roles = list(dict.fromkeys(filter(None, (role, given))))
            holders = ask_holders(world, cluster, roles) if roles else []
            step = revoke_role(
                plan.id, namespace, account, role, pod_identity=given, cluster_name=cluster, cluster=None,
                entries={arn: entry_state(world, cluster, arn) for arn in roles},
                holders=["/".join(pair) for pair in holders if pair != (namespace, account)],
            )  # fmt: skip
            made[step.id] = step
    steps = tuple(_filled(step, made[step.id]) if step.unresolved and step.id in made else step for step in plan.steps)
    return replace(plan, steps=steps)


def _filled(step: Step, made: Step) -> Step:
    """What the cluster's view told of who loses something is kept."""
    return replace(made, triggers=tuple(dict.fromkeys((*step.triggers, *made.triggers))))


def _accounts(plan: Plan) -> list[tuple[str, str]]:
    """Accounts whose step lacks a fact."""
    wanted = {step.id for step in plan.steps if step.unresolved}
    pairs = dict.fromkeys(_account(pod) for pod in plan.pods)
    return [pair for pair in pairs if f"revoke-role-{pair[0]}-{pair[1]}" in wanted]


def _account(pod: PodTarget) -> tuple[str, str]:
    return pod.namespace, pod.service_account or "default"
