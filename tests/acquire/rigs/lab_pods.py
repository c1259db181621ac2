"""Pods on an emulated node: sandboxes and containers in the cgroups, with the annotations and the shared namespaces that
containerd's CRI plugin would give them, started with `ctr`, without a kubelet.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from tests.acquire.rigs.lab_node import LabNode
from tests.acquire.rigs.lab_oci import NAME

# each process sleeps for a number of its own, for years: what /proc says of it is the same before and after a capture
MINER = """mkdir /tmp/x && cp /bin/busybox /tmp/x/sleep && /tmp/x/sleep 1000005 &
until [ "$(readlink /proc/$!/exe)" = /tmp/x/sleep ]; do sleep 0.1; done
rm -r /tmp/x; exec sleep 1000006"""


@dataclass(frozen=True)
class Container:
    """script: what its shell runs. commands: the command lines that are there when that has settled."""

    name: str
    script: str
    commands: tuple[str, ...]
    user: int = 0


@dataclass(frozen=True)
class Pod:
    """qos: as the kubelet names the class. The first container is the sandbox, whose name is ""."""

    name: str
    namespace: str
    uid: str
    qos: str
    containers: tuple[Container, ...]

    def id_of(self, container: Container) -> str:
        """64 hex digits, the same each time."""
        return hashlib.sha256(f"{self.uid}/{container.name}".encode()).hexdigest()

    @property
    def slice(self) -> str:
        """The slice that the kubelet's systemd driver would make; Guaranteed pods have none for their class."""
        middle = "" if self.qos == "Guaranteed" else f"-{self.qos.lower()}"
        return f"kubepods{middle}-pod{self.uid.replace('-', '_')}.slice"


SANDBOX = Container("", "exec sleep 1000001", ("sleep 1000001",))
PODS = (
    Pod("web-5d4f8c7b9-abcde", "shop", "0c5e8f0a-1111-4222-8333-444455556666", "Burstable", (
        SANDBOX,
        Container("web", "sleep 1000002 & exec sleep 1000003", ("sleep 1000002", "sleep 1000003")),
        Container("sidecar", "exec sleep 1000004", ("sleep 1000004",), user=1000),
    )),
    Pod("miner-0", "dev", "7a1b2c3d-5555-4666-8777-888899990000", "BestEffort", (
        SANDBOX,
        Container("miner", MINER, ("/tmp/x/sleep 1000005", "sleep 1000006")),
    )),
    Pod("ledger-0", "payments", "9e8d7c6b-aaaa-4bbb-8ccc-ddddeeeeffff", "Guaranteed", (
        SANDBOX,
        Container("ledger", "exec sleep 1000007", ("sleep 1000007",)),
    )),
)  # fmt: skip
DELETED = ("miner-0", "miner", "/tmp/x/sleep", ["/tmp/x/sleep", "1000005"])
"""Pod, container, executable and arguments of the process whose executable is gone."""


def start_pods(node: LabNode) -> Mapping[str, int]:
    """Start all of them and wait till they have settled. Gives the first process of each container, by its id."""
    script = ["set -e", "ctr -n k8s.io images import /opt/image.tar >/dev/null"]
    for pod in PODS:
        for container in pod.containers:
            script.append(_start(pod, container))
            if container.name == "":
                script.append(f"sandbox=$({_pid(pod.id_of(container))})")
    commands = [one for pod in PODS for container in pod.containers for one in container.commands]
    for line in sorted(set(commands)):
        script.append(f"until [ $(pgrep -fxc {shlex.quote(line)}) = {commands.count(line)} ]; do sleep 0.5; done")
    script.append("while pgrep -fx 'sh -c .*' >/dev/null; do sleep 0.5; done")
    script.append("ctr -n k8s.io task ls")
    lines = node.run("\n".join(script), timeout=300).splitlines()
    found = {name: int(pid) for name, pid, _ in (line.split() for line in lines[1:])}
    assert set(found) == {pod.id_of(container) for pod in PODS for container in pod.containers}, lines
    return found


def _pid(container_id: str) -> str:
    return f"ctr -n k8s.io task ls | awk '$1 == \"{container_id}\" {{ print $2 }}'"


def _start(pod: Pod, container: Container) -> str:
    """The command that starts one container; $sandbox is the process whose namespaces it joins."""
    kind = "container" if container.name else "sandbox"
    notes = {
        "container-type": kind, "sandbox-id": pod.id_of(SANDBOX), "sandbox-name": pod.name,
        "sandbox-namespace": pod.namespace, "sandbox-uid": pod.uid,
    }  # fmt: skip
    labels = {
        "io.cri-containerd.kind": kind, "io.kubernetes.pod.name": pod.name,
        "io.kubernetes.pod.namespace": pod.namespace, "io.kubernetes.pod.uid": pod.uid,
    }  # fmt: skip
    if container.name:
        notes |= {"container-name": container.name, "image-name": NAME}
        labels["io.kubernetes.container.name"] = container.name
    words = ["ctr", "-n", "k8s.io", "run", "-d", "--null-io", "--runc-systemd-cgroup", "--user", str(container.user)]
    words += ["--cgroup", f"{pod.slice}:cri-containerd:{pod.id_of(container)}"]
    for name, value in notes.items():
        words += ["--annotation", f"io.kubernetes.cri.{name}={value}"]
    for name, value in labels.items():
        words += ["--label", f"{name}={value}"]
    joined = ""
    if container.name:
        joined = " ".join(f"--with-ns {kind}:/proc/$sandbox/ns/{kind[:3]}" for kind in ("network", "ipc", "uts"))
    last = [NAME, pod.id_of(container), "sh", "-c", container.script]
    return f"{shlex.join(words)} {joined} {shlex.join(last)}"
