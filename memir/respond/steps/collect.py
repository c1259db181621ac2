# SPDX-License-Identifier: Apache-2.0
"""Collect: what the API and the runtime say of the pod, before it changes."""

from __future__ import annotations

import shlex

from memir.kube.apiobjects import ApiPod
from memir.respond.plan import Step
from memir.respond.steps.base import Facts


def collect(facts: Facts, pod: ApiPod) -> Step:
    """By hand with kubectl: reads only. Never an exec in the container, which changes what is looked at."""
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
        "Specification, status, events and logs change or end with the pod. Its files and processes are in the RAM.",
        "hand",
        "Nothing is changed.",
        (5, 120),
        command=tuple(commands),
        triggers=("reads of the API, in the audit log",),
        limits=("the writable layer beyond what the page cache holds is not collected",),
        subject=f"pod {where}",
    )  # fmt: skip
