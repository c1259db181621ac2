# SPDX-License-Identifier: Apache-2.0
"""Pause: the containers are frozen where they are, and the seconds that this may last.

The CRI has no pause; containerd's Task.Pause has (namespace k8s.io). A frozen container answers no probe: the kubelet
kills it after failureThreshold probes without one, and what was in its memory is gone.
"""

from __future__ import annotations

from collections.abc import Mapping

from memir.kube.apiobjects import ApiPod
from memir.respond.cluster import Json, objects_of, on_fargate, part
from memir.respond.plan import Step
from memir.respond.steps.base import Facts

GRACE = 30
"""terminationGracePeriodSeconds where a pod names none."""


def pause(facts: Facts, pod: ApiPod) -> Step:
    """By hand, on the node: memir has no way to containerd there."""
    where, refused = f"{pod.namespace}/{pod.name}", ""
    if on_fargate(pod):
        return Step(
            f"pause-{pod.namespace}-{pod.name}", "pause", f"Pause pod {where}",
            "Nothing in the pod would run on.", "hand", "There is nothing to take back.", (0, 0),
            refused="a pause is containerd's, on the node, and nobody reaches a node of EKS Fargate: suspend the pod",
            subject=f"pod {where}",
        )  # fmt: skip
    specs = {str(item.get("name")): item for item in objects_of(part(facts.cluster.pod(pod), "spec").get("containers"))}
    grace = part(facts.cluster.pod(pod), "spec").get("terminationGracePeriodSeconds")
    times = {name: seconds for name, item in specs.items() if (seconds := seconds_to_kill(item)) is not None}
    if times and not facts.options.accept_restart:
        first = min(times, key=lambda name: times[name])
        refused = (
            f"the liveness probe of container {first} kills it {_span(times[first])} after the pause, and its memory is"
            " gone: take the RAM first, then --accept-restart"
        )
    running = [item for item in pod.containers if item.state == "running" and item.container_id]
    limits = [
        f"CONTAINER {name} IS KILLED by its liveness probe {_span(seconds)} after the pause, with up to"
        f" {grace if isinstance(grace, int) else GRACE} s of grace in which a frozen process ends nothing: resume it"
        " before, or its memory is gone"
        for name, seconds in times.items()
    ]
    if any("tcpSocket" in part(item, "livenessProbe") for item in specs.values()):
        limits.append("a TCP probe is answered by the kernel, not by the frozen process: it kills nothing")
    return Step(
        f"pause-{pod.namespace}-{pod.name}", "pause", f"Pause pod {where}",
        "Nothing in the pod runs on: no exfiltration, no clean-up. What it held in memory stays in memory.",
        "hand",
        f"On the node: {'; '.join(_task('resume', item.container_id or '') for item in running)}",
        (1, min((first for first, _ in times.values()), default=5)),
        command=() if refused else tuple(_task("pause", item.container_id or "") for item in running),
        triggers=("its probes fail: it is not ready", "its clients wait until they give up"),
        limits=(*limits, "the sandbox container is not paused", "on the node itself: ctr is on AL2023, not on"
                " Bottlerocket"),
        refused=refused, subject=f"pod {where}",
    )  # fmt: skip


def seconds_to_kill(container: Json) -> tuple[int, int] | None:
    """Seconds from, to which a frozen container is killed by its liveness probe; None without one that it fails.

    The first probe begins within a period, each fails at its timeout, the next begins a period after the one before
    began (doProbe and the ticker in pkg/kubelet/prober/worker.go). A TCP probe goes on to succeed: the kernel accepts.
    Defaults: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Probe
    """
    probe = container.get("livenessProbe")
    if not isinstance(probe, Mapping) or "tcpSocket" in probe:
        return None
    period, timeout = _number(probe, "periodSeconds", 10), _number(probe, "timeoutSeconds", 1)
    first = (_number(probe, "failureThreshold", 3) - 1) * max(period, timeout) + timeout
    return first, first + period


def _span(seconds: tuple[int, int]) -> str:
    return f"{seconds[0]} to {seconds[1]} s"


def _number(probe: Json, key: str, default: int) -> int:
    value = probe.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31 else default


def _task(verb: str, container_id: str) -> str:
    return f"ctr -n k8s.io task {verb} {container_id}"
