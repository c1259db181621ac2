# SPDX-License-Identifier: Apache-2.0
"""Pods on an emulated node: sandboxes and containers as containerd's CRI plugin would start them, without a kubelet."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.acquire.rigs.emulated import IMAGE, EmulatedNode

HEAP = "MEMIR-LAB-HEAP-5d0c71b2"
GONE = "MEMIR-LAB-GONE-91ee40aa"
UNLINKED = "MEMIR-LAB-UNLINKED-c8412f03"
FILE = "MEMIR-LAB-FILE-7b6d25e1"


@dataclass(frozen=True)
class Container:
    """name "" is the sandbox. script: what its shell runs."""

    name: str
    script: str = "sleep 1000001"
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pod:
    name: str
    namespace: str
    uid: str
    containers: tuple[Container, ...]

    def id_of(self, container: str) -> str:
        return hashlib.sha256(f"{self.uid}/{container}".encode()).hexdigest()


PODS = (
    Pod("web-5d4f8c-abcde", "shop", "0c5e8f0a-1111-4222-8333-444455556666", (
        Container("web", f"echo {FILE} > /tmp/notes; sleep 1000002 & sleep 1000003"),
        Container("sidecar", "sleep 1000004", {"TOKEN": HEAP}),
    )),
    Pod("miner-0", "dev", "7a1b2c3d-5555-4666-8777-888899990000", (
        # busybox goes by its name: one that begins with `busybox` takes the applet from its arguments
        Container("miner", "cp /bin/busybox /tmp/busyboxd; /tmp/busyboxd sleep 1000005 & sleep 2; rm /tmp/busyboxd; "
                  f"echo {UNLINKED} > /tmp/out; exec 3< /tmp/out; rm /tmp/out; sleep 1000006"),
    )),
)  # fmt: skip


def _start(pod: Pod, container: Container, sandbox_pid: int) -> str:
    """A script that starts one container and says its first process."""
    one = pod.id_of(container.name)
    slice_name = f"kubepods-burstable-pod{pod.uid.replace('-', '_')}.slice"
    notes = {
        "io.kubernetes.cri.container-type": "container" if container.name else "sandbox",
        "io.kubernetes.cri.sandbox-id": pod.id_of(""), "io.kubernetes.cri.sandbox-name": pod.name,
        "io.kubernetes.cri.sandbox-namespace": pod.namespace, "io.kubernetes.cri.sandbox-uid": pod.uid,
    }  # fmt: skip
    labels = {
        "io.cri-containerd.kind": notes["io.kubernetes.cri.container-type"], "io.kubernetes.pod.name": pod.name,
        "io.kubernetes.pod.namespace": pod.namespace, "io.kubernetes.pod.uid": pod.uid,
    }  # fmt: skip
    if container.name:
        notes["io.kubernetes.cri.container-name"] = labels["io.kubernetes.container.name"] = container.name
    words = ["ctr", "-n", "k8s.io", "run", "-d", "--null-io", "--runc-systemd-cgroup"]
    words += ["--cgroup", f"{slice_name}:cri-containerd:{one}"]
    for name, value in notes.items():
        words += ["--annotation", f"{name}={value}"]
    for name, value in labels.items():
        words += ["--label", f"{name}={value}"]
    for name, value in container.environment.items():
        words += ["--env", f"{name}={value}"]
    if sandbox_pid:
        for kind in ("network", "ipc", "uts"):
            words += ["--with-ns", f"{kind}:/proc/{sandbox_pid}/ns/{kind[:3]}"]
    words += [IMAGE, one, "sh", "-c", container.script]
    return f"{shlex.join(words)} && ctr -n k8s.io task ls | awk -v i={one} '$1 == i {{ print $2 }}'"


def start_pods(node: EmulatedNode) -> dict[str, int]:
    """Start all pods; the first process of each container, by container id.

    A process that held a hundred million bytes of marks and has ended is part of it.
    """
    node.run("ctr -n k8s.io images import /opt/image.tar", timeout=300)
    found: dict[str, int] = {}
    for pod in PODS:
        sandbox = int(node.run(_start(pod, Container(""), 0)))
        found[pod.id_of("")] = sandbox
        for container in pod.containers:
            found[pod.id_of(container.name)] = int(node.run(_start(pod, container, sandbox)))
    mark = f'(b"{GONE[:10]}" + b"{GONE[10:]}").ljust(4096)'
    node.run(f"python3 -c 'marks = {mark} * 25000; marks.count(b\"x\")'; sleep 4")
    return found
