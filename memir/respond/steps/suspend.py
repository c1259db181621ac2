# SPDX-License-Identifier: Apache-2.0
"""Suspend: a pod on EKS Fargate is stopped, once it is out of its Service, replaced and collected.

What isolates and freezes elsewhere does not there (no NetworkPolicy, no pause, no group of the node's interface).
"""

from __future__ import annotations

from memir.kube.apiobjects import ApiPod
from memir.respond.plan import Step
from memir.respond.steps.base import Facts


def suspend(facts: Facts, pod: ApiPod) -> Step:
    """By hand: it ends what is left of the evidence."""
    where = f"{pod.namespace}/{pod.name}"
    kind, owner, _ = facts.cluster.owner(pod)
    services = ", ".join(name for name, _ in facts.cluster.services(pod))
    limits = [
        f"not before step collect-{pod.namespace}-{pod.name} is whole: memory, files and the node's disk end with it",
        "its API objects, logs and flow logs stay; what was collected is all that there is of the rest",
    ]
    if services:
        limits.append(f"out of Service {services} first (step detach-{pod.namespace}-{pod.name})")
    if kind == "StatefulSet":
        limits.append(f"StatefulSet {owner} makes its replacement when this pod is gone, of the same name and volumes")
    elif kind:
        limits.append(f"{kind} {owner} makes another: what let the intruder in is in that one too, until it is mended")
    else:
        limits.append("nobody makes another: the pod has no owner")
    return Step(
        f"suspend-{pod.namespace}-{pod.name}", "suspend", f"Stop pod {where}",
        "On Fargate no policy cuts a pod off and nothing freezes it: to stop it is the one way to end what it does.",
        "hand",
        "Cannot be undone: a pod that was stopped does not come back.",
        (5, 60),
        command=(
            f"kubectl -n {pod.namespace} get pod {pod.name} -o jsonpath='{{.metadata.uid}}'   # {pod.uid}",
            f"kubectl -n {pod.namespace} delete pod {pod.name} --grace-period=1",
        ),
        triggers=("the intruder's connections end", "the audit log has the delete"),
        limits=tuple(limits), subject=f"pod {where}",
    )  # fmt: skip
