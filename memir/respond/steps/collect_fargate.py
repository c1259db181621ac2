# SPDX-License-Identifier: Apache-2.0
"""Collect a pod on EKS Fargate: from within, by an ephemeral container, which cannot be taken back."""

from __future__ import annotations

import shlex

from memir.kube.apiobjects import ApiPod
from memir.respond.plan import Change, Step
from memir.respond.steps.base import Facts, may, may_aws, pod_path


def collect_fargate(facts: Facts, pod: ApiPod) -> Step:
    """`memir collect fargate` as it is typed. Who approves the step accepts the container."""
    ident, where = f"collect-{pod.namespace}-{pod.name}", f"{pod.namespace}/{pod.name}"
    place, name = facts.options.evidence.rstrip("/"), f"{pod.namespace}_{pod.name}"
    remote = "://" in place
    folder = f"{facts.plan_id}-{name}" if remote else f"{place}/pods/{name}"
    command = ("memir", "collect", "fargate", where, "-o", folder, *(("--to", f"{place}/pods") if remote else ()),
               "--accept-ephemeral", "--case", facts.plan_id)  # fmt: skip
    rights = [
        may("get", "pods", pod.namespace), may("get", "pods/log", pod.namespace), may("list", "events", pod.namespace),
        may("get", "nodes"), may("patch", "pods/ephemeralcontainers", pod.namespace),
        may("get", "pods/exec", pod.namespace), may("create", "pods/exec", pod.namespace),
    ]  # fmt: skip
    return Step(
        ident, "collect", f"Collect pod {where} from within",
        "Nobody reaches a node of EKS Fargate. What the pod's processes hold ends with the pod: an ephemeral container"
        " beside them reads what it may without SYS_PTRACE, which no pod may ask for there.",
        "command",
        "Cannot be undone: an ephemeral container stays in the pod's specification until the pod is gone. Its process"
        " ends with the run. The evidence is kept.",
        (30, 1800),
        (
            Change(
                f"{ident}.run", "collect", pod_path(pod), (shlex.join(command),), pod.uid,
                needs={"folder": folder, "refused": "accepted"},
                irreversible="an ephemeral container cannot be removed, and evidence is kept",
            ),
        ),
        command=command,
        permissions=(*rights, *([may_aws("s3:PutObject", f"{place}/pods/*")] if remote else [])),
        triggers=(
            "a new container in the pod, which its processes can see",
            "GuardDuty Execution:Kubernetes/AnomalousBehavior.ExecInPod; the audit log has the patch and the execs",
        ),
        limits=(
            "no kernel memory; memory of the processes that may be read without SYS_PTRACE alone (others are named)",
            "one container's processes, unless the pod shares its PID namespace: once for each, with --container",
            "nothing is stopped: processes run on while they are read",
        ),
        subject=f"pod {where}",
    )  # fmt: skip
