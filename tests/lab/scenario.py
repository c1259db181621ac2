# SPDX-License-Identifier: Apache-2.0
"""The files that the guest's init finds: scenario.sh, which starts pods and intruders, and what it needs of them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.lab.containerd_db import meta_db
from tests.lab.documents import all_containers, write_container, write_token
from tests.lab.pods import HELPER, HELPER_CGROUP, INTRUDERS, PODS, Container, Intruder, Pod

_SNAPSHOTS = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
_SHIM = "system.slice/containerd.service"


def _container(container: Container, lower: str, pod: Pod | None = None) -> list[str]:
    volumes = [f"vol={pod.source(name)}:{place}" for name, place in container.volumes] if pod is not None else []
    caps = "all" if container.privileged else "def"
    return [
        "++", f"id={container.id}", f"name={container.name}", f"snap={container.snapshot}", f"lower={lower}",
        f"user={container.uid}", f"caps={caps}", f"priv={int(container.privileged)}", *volumes, "cmd", *container.args,
    ]  # fmt: skip


def pod_words(pod: Pod) -> str:
    """The command that makes a pod in the guest."""
    layers = f"{_SNAPSHOTS}/3/fs:{_SNAPSHOTS}/2/fs"
    words = [
        "mkpod", f"pod={pod.name}", f"ns={pod.namespace}", f"uid={pod.uid}", f"ip={pod.ip}", "cgver=2",
        f"shimcg={_SHIM}", f"cgp={pod.slice}", "pfx=cri-containerd-", "sfx=.scope",
        f"hostnet={int(pod.host_network)}", f"hostpid={int(pod.host_pid)}",
        *_container(pod.sandbox, f"{_SNAPSHOTS}/1/fs"),
    ]  # fmt: skip
    for container in pod.containers:
        words += _container(container, layers, pod)
    return shlex.join(words)


def _ended(pod: Pod) -> list[str]:
    """What is left of a pod whose containers have run: the kubelet's folder, containerd's metadata."""
    lines = []
    for container in (pod.sandbox, *pod.containers):
        record = {
            "id": container.id, "uid": pod.uid, "pod": pod.name, "ns": pod.namespace, "container": container.name,
            "sandbox": container == pod.sandbox,
        }  # fmt: skip
        lines.append(f"echo {shlex.quote('@ENDED ' + json.dumps(record))}")
    folder = f"/var/lib/kubelet/pods/{pod.uid}/containers/{pod.containers[0].name}"
    return [f"busybox mkdir -p {folder}; echo >{folder}/0a1b2c3d", *lines]


def _helper() -> str:
    words = ["mkpod", "plain=1", "cgver=2", f"shimcg={_SHIM}"]
    container = _container(HELPER, f"{_SNAPSHOTS}/3/fs:{_SNAPSHOTS}/2/fs")
    container.insert(1, f"cg={HELPER_CGROUP}")
    return shlex.join([*words, *container])


def _intruder(intruder: Intruder) -> str:
    words = ["enter", f"cg={intruder.cgroup}"]
    if intruder.stdin:
        words.append("stdin=pipe")
    if intruder.joins and intruder.kinds:
        # busybox's cat of init.pid: the container's first process, by the node's numbers
        bundle = f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{intruder.joins.id}"
        return f"{shlex.join(words)} pid=$(busybox cat {bundle}/init.pid) ns={intruder.kinds} -- " + shlex.join(
            intruder.args
        )
    return shlex.join([*words, "--", *intruder.args])


def script() -> str:
    """scenario.sh: pods first, then who does not belong there."""
    lines = ["# made by tests/lab/scenario.py"]
    for pod in PODS:
        lines += _ended(pod) if pod.ended else [f"{pod_words(pod)} || echo {pod.name} FAILED"]
    lines.append(f"{_helper()} || echo helper FAILED")
    lines.append("busybox sleep 2")
    lines += [f"{_intruder(one)} || echo {one.label} FAILED" for one in INTRUDERS]
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Everything below a folder that is laid over the guest's root."""
    (folder / "scenario.sh").write_text(script())
    spec = folder / "spec"
    spec.mkdir()
    (spec / "meta.db").write_bytes(meta_db())
    for pod, container in all_containers():
        if pod is not None and pod.ended:
            continue
        write_container(spec, pod, container)
    for pod in PODS:
        write_token(spec, pod)
