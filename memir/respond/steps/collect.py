# SPDX-License-Identifier: Apache-2.0
"""Collect: everything of the pod, from the API server and its node's side, before it changes."""

from __future__ import annotations

import shlex

from memir.errors import NodeError
from memir.kube.apiobjects import ApiPod
from memir.kubeapi.nodes import instance_of, no_ssm
from memir.respond.cluster import on_fargate
from memir.respond.plan import Change, Permission, Step
from memir.respond.steps.acquire import MADE_IN, rights_of, triggers_of
from memir.respond.steps.base import Facts, may, may_aws, pod_path
from memir.respond.steps.collect_fargate import collect_fargate


def collect(facts: Facts, pod: ApiPod) -> Step:
    """`memir collect pod` as it is typed; `memir collect fargate` there; by hand with kubectl where nothing runs."""
    if pod.node is None:
        return _by_hand(facts, pod)
    if on_fargate(pod):
        return collect_fargate(facts, pod)
    where, place = f"{pod.namespace}/{pod.name}", facts.options.evidence.rstrip("/")
    remote, name = "://" in place, f"{pod.namespace}_{pod.name}"
    folder = f"{facts.plan_id}-{name}" if remote else f"{place}/pods/{name}"
    way, why_not = _way(facts, pod.node, remote=remote)
    words = {"pod": (), "ssh": ("--transport", "ssh", "--host", pod.node)}.get(way, ("--transport", "ssm"))
    instance = _instance(facts, pod.node) if way == "ssm" else ""
    words = (*words, "--instance-id", instance) if instance else words
    command = ("memir", "collect", "pod", where, "-o", folder, *(("--to", f"{place}/pods") if remote else ()), *words,
               "--case", facts.plan_id)  # fmt: skip
    limits = ["nothing is stopped: processes run on while they are read", *([why_not] if why_not else [])]
    if way == "ssm":
        limits.append("what is read passes through the bucket, below the evidence, and is removed from there")
    return Step(
        f"collect-{pod.namespace}-{pod.name}", "collect", f"Collect pod {where}",
        "Specification, status, events, logs, processes, their memory and what was written end with the pod. They are"
        " read from the node's side, never by exec into it.",
        "command",
        "Nothing to take back: nothing is written on the node's disk beyond what the receipt lists, and the run removes"
        " what it makes there. The evidence is kept." if way == "ssm" else
        "Nothing to take back: nothing is written on the node, and the run removes the pod that it makes. The evidence"
        " is kept.",
        (10, 1800),
        (
            Change(
                f"collect-{pod.namespace}-{pod.name}.run", "collect", pod_path(pod), (shlex.join(command),), pod.uid,
                needs={"folder": folder}, irreversible="evidence is kept",
            ),
        ),
        command=command,
        permissions=_rights(pod, place if remote else "", way, instance),
        triggers=(*triggers_of(way), "reads of the API, in the audit log"),
        limits=tuple(limits),
        subject=f"pod {where}",
    )  # fmt: skip


def _way(facts: Facts, node: str, *, remote: bool) -> tuple[str, str]:
    """(pod, ssh or ssm; why it is not the one that was asked for)."""
    way = facts.options.transport or "pod"
    if way != "ssm":
        return way, ""
    if not remote:
        return "pod", "over SSM it passes through a bucket, and --evidence names none: the way is a privileged pod"
    if why := no_ssm(facts.cluster.object("Node", "", node)):
        return "pod", f"node {node} {why}: the way is a privileged pod"
    if not _instance(facts, node):
        return "pod", f"node {node} is no EC2 instance that its object names: the way is a privileged pod"
    return "ssm", ""


def _instance(facts: Facts, node: str) -> str:
    try:
        return instance_of(facts.cluster.object("Node", "", node))
    except NodeError:
        return ""


def _rights(pod: ApiPod, place: str, way: str, instance: str) -> tuple[Permission, ...]:
    rights = [
        may("get", "pods", pod.namespace), may("get", "pods/log", pod.namespace), may("list", "events", pod.namespace),
        may("get", "nodes"),
    ]  # fmt: skip
    if way == "ssm":
        rights += rights_of("ssm", instance, f"{place}/pods")
    if way == "pod":
        rights += [
            may("list", "pods", MADE_IN), may("create", "pods", MADE_IN), may("get", "pods", MADE_IN),
            may("delete", "pods", MADE_IN), may("get", "pods/exec", MADE_IN), may("create", "pods/exec", MADE_IN),
        ]  # fmt: skip
    if place:
        rights.append(may_aws("s3:PutObject", f"{place}/pods/*"))
    return tuple(dict.fromkeys(rights))


def _by_hand(facts: Facts, pod: ApiPod) -> Step:
    """Reads only. Never an exec in the container, which changes what is looked at."""
    where = f"{pod.namespace}/{pod.name}"
    folder = f"{facts.options.evidence.rstrip('/')}/pods" if "://" not in facts.options.evidence else "pods"
    base, name = f"kubectl -n {pod.namespace}", f"{shlex.quote(folder)}/{pod.name}"
    commands = [
        f"mkdir -p {shlex.quote(folder)}",
        f"{base} get pod {pod.name} -o yaml > {name}.yaml",
        f"{base} get events --field-selector involvedObject.uid={shlex.quote(pod.uid)} -o yaml > {name}.events.yaml",
        f"{base} logs {pod.name} --all-containers --timestamps --prefix > {name}.log",
        *(
            f"{base} logs {pod.name} -c {quoted} --previous --timestamps > {name}.{quoted}.previous.log"
            for container in pod.containers
            if container.restarts
            for quoted in [shlex.quote(container.name)]
        ),
    ]
    return Step(
        f"collect-{pod.namespace}-{pod.name}", "collect", f"Collect pod {where}",
        "Specification, status, events and logs change or end with the pod; it is on no node: that is all there is.",
        "hand",
        "Nothing is changed.",
        (5, 120),
        command=tuple(commands),
        triggers=("reads of the API, in the audit log",),
        limits=("its processes, their memory and its files are not collected",),
        subject=f"pod {where}",
    )  # fmt: skip
