# SPDX-License-Identifier: Apache-2.0
"""The pods of the intruded node, its intruders, and what an analyst should conclude about each.

Every other file of this folder is made from these lists: the documents that containerd, runc and the API server would
write (documents.py, containerd_db.py), the script that starts them in the guest (scenario.py), labels.json (labels.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

NODE = "ip-10-0-1-23.eu-west-1.compute.internal"
NODE_IP = "10.0.1.23"
CREATED = "2026-11-20T09:58:00Z"
STARTED = "2026-11-20T09:58:07Z"
PASSWORD = "correct-horse-battery-staple-7731"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def container_id(text: str) -> str:
    """64 hex digits, the same in every build."""
    return hashlib.sha256(f"memir-{text}".encode()).hexdigest()


@dataclass(frozen=True)
class Container:
    """One container. snapshot: number of its overlay snapshot, which no other container has.

    volumes: (an emptyDir's name, or an absolute path of the node, where it is mounted).
    """

    id: str
    name: str
    args: tuple[str, ...]
    snapshot: int
    env: tuple[str, ...] = ()
    uid: int = 0
    privileged: bool = False
    image: str = "registry.example/shop/app:1.4.2"
    volumes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Pod:
    """One pod. ended: its containers have run, their cgroups and bundles are gone."""

    name: str
    namespace: str
    uid: str
    ip: str
    containers: tuple[Container, ...]
    snapshot: int
    qos: str = "BestEffort"
    owner: tuple[str, str] | None = None
    service_account: str = "default"
    labels: dict[str, str] = field(default_factory=dict)
    host_network: bool = False
    host_pid: bool = False
    ended: bool = False

    @property
    def sandbox(self) -> Container:
        """The pause container."""
        key = container_id(f"{self.name}-pause")
        return Container(key, "pause", ("/pause",), self.snapshot, uid=65535, image="registry.k8s.io/pause:3.10")

    @property
    def slice(self) -> str:
        """Path of the pod's cgroup, as the kubelet's systemd driver names it."""
        unit = f"kubepods-{self.qos.lower()}"
        return f"kubepods.slice/{unit}.slice/{unit}-pod{self.uid.replace('-', '_')}.slice"

    def source(self, volume: str) -> str:
        """The folder of the node that a volume is."""
        empty = f"/var/lib/kubelet/pods/{self.uid}/volumes/kubernetes.io~empty-dir"
        return volume if volume.startswith("/") else f"{empty}/{volume}"

    def cgroup(self, container: Container) -> str:
        """Path of a container's cgroup."""
        return f"{self.slice}/cri-containerd-{container.id}.scope"


BUSYBOX = "docker.io/library/busybox:1.35"
WEB = Pod(
    "web-7d4b9c6f5-abcde", "shop", "aaaaaaaa-1111-4111-8111-0123456789ab", "10.0.1.101",
    (
        Container(container_id("A-web"), "web", ("/app/server", "8080"), 11, uid=1000),
        Container(container_id("A-sidecar"), "sidecar", ("/app/client", "127.0.0.1", "8080"), 12),
    ),
    10, "Burstable", ("ReplicaSet", "web-7d4b9c6f5"), labels={"app": "web", "pod-template-hash": "7d4b9c6f5"},
)  # fmt: skip
API = Pod(
    "api-58f6c9d7b4-q8xkz", "shop", "dddddddd-4444-4444-8444-0123456789ab", "10.0.1.103",
    (
        Container(
            container_id("D-api"), "api", ("/app/api",), 41,
            (f"DB_PASSWORD={PASSWORD}", "AWS_ROLE_ARN=arn:aws:iam::111122223333:role/shop-api"),
        ),
    ),
    40, "Burstable", ("ReplicaSet", "api-58f6c9d7b4"), "api", {"app": "api", "pod-template-hash": "58f6c9d7b4"},
)  # fmt: skip
MINER = Pod(
    "miner-0", "dev", "bbbbbbbb-2222-4222-8222-0123456789ab", "10.0.1.102",
    (Container(container_id("B-miner"), "miner", ("/app/entry",), 21),),
    20, owner=("StatefulSet", "miner"), labels={"app": "miner"},
)  # fmt: skip
AGENT = Pod(
    "agent-x9z2k", "kube-system", "cccccccc-3333-4333-8333-0123456789ab", NODE_IP,
    (Container(container_id("C-agent"), "agent", ("/bin/sh", "-c", "sleep 1000000; true"), 31, image=BUSYBOX),),
    30, owner=("DaemonSet", "agent"), service_account="agent", labels={"app": "agent"}, host_network=True,
)  # fmt: skip
TOOLBOX = Pod(
    "toolbox", "shop", "eeeeeeee-5555-4555-8555-0123456789ab", "10.0.1.104",
    (Container(container_id("E-toolbox"), "toolbox", ("sleep", "1000000"), 51, privileged=True, image=BUSYBOX),),
    50, labels={"run": "toolbox"}, host_pid=True,
)  # fmt: skip
JOB = Pod(
    "migrate-w57gd", "shop", "ffffffff-6666-4666-8666-0123456789ab", "10.0.1.105",
    (Container(container_id("F-migrate"), "migrate", ("sh", "-c", "echo migrated"), 61, image=BUSYBOX),),
    60, owner=("Job", "migrate"), labels={"job-name": "migrate"}, ended=True,
)  # fmt: skip
PODS = (WEB, API, MINER, AGENT, TOOLBOX, JOB)
# started by `ctr run` on the node: neither kubelet nor API server knows it
HELPER = Container(container_id("rogue"), "helper", ("/bin/sh", "-c", "while true; do sleep 1000; done"), 71,
                   image=BUSYBOX)  # fmt: skip
HELPER_CGROUP = "system.slice/runc-helper.scope"


def environment(pod: Pod, container: Container) -> list[str]:
    """What the container's first process is started with; a sandbox has the path alone."""
    if container == pod.sandbox:
        return [PATH]
    cluster = ["KUBERNETES_SERVICE_HOST=172.20.0.1", "KUBERNETES_SERVICE_PORT=443"]
    return [PATH, f"HOSTNAME={NODE if pod.host_network else pod.name}", *container.env, *cluster]


@dataclass(frozen=True)
class Intruder:
    """A process that is somewhere else than it looks.

    args: what it is started with. cgroup: below /sys/fs/cgroup. joins: a container whose namespaces of these kinds
    it is in; the others are the node's. pod, container: whose it is. disagreements: the witnesses that speak
    against that. hidden: lists of the kernel it was taken from in the image.
    """

    label: str
    args: tuple[str, ...]
    cgroup: str
    joins: Container | None = None
    kinds: str = ""
    pod: Pod | None = None
    container: str | None = None
    disagreements: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    stdin: bool = False
    shows: tuple[str, ...] = ()  # its command line, where that is not args: a shell gives way to its last command


_MINER, _WEB, _API, _TOOLBOX = (pod.containers[0] for pod in (MINER, WEB, API, TOOLBOX))
_KINDS = ("mnt", "pid", "net", "ipc", "uts", "cgroup")
_ALL = ",".join(_KINDS)


def _host(*kinds: str) -> tuple[str, ...]:
    return tuple(f"{kind}_ns=host" for kind in kinds)


def _in_miner(label: str, number: str, cgroup: str, kinds: str, *against: str, hidden: str = "") -> Intruder:
    sleep = ("/bin/sleep",) if "mnt" in kinds else ("/bin/busybox", "sleep")
    container = None if kinds == "net" else "miner"  # all containers of a pod share its network
    return Intruder(label, (*sleep, number), cgroup, _MINER, kinds, MINER, container, against, tuple(hidden.split()))


def _on_node(label: str, number: str, cgroup: str, hidden: str) -> Intruder:
    return Intruder(label, ("/bin/busybox", "sleep", number), cgroup, hidden=tuple(hidden.split()))


# no such pod was ever there: a user made cgroups of this name
SPOOFED_POD = "99999999-9999-4999-8999-0123456789ab"
_SPOOF = (
    "user.slice/user-1000.slice/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod"
    f"{SPOOFED_POD.replace('-', '_')}.slice/cri-containerd-{container_id('spoofed')}.scope"
)
_CHILD = "cgroup=host"
INTRUDERS = (
    Intruder("stepped-onto-the-node", ("/bin/sh", "-c", "while true; do sleep 3600; done", "hostescape"),
             TOOLBOX.cgroup(_TOOLBOX), pod=TOOLBOX, container="toolbox",
             disagreements=_host("mnt", "net", "ipc", "uts")),
    Intruder("exec-session", ("sh", "-c", "export STAGE=2; cat >/dev/null"), API.cgroup(_API), _API, _ALL, API, "api",
             stdin=True, shows=("cat",)),
    _in_miner("pod-namespaces-in-root-cgroup", "777001", "", "mnt,pid,net,ipc,uts", _CHILD, "cgroup_ns=host"),
    _in_miner("host-namespaces-in-pod-cgroup", "777002", MINER.cgroup(_MINER), "", *_host(*_KINDS)),
    Intruder("pod-in-another-pods-cgroup", ("/bin/sleep", "777003"), WEB.cgroup(_WEB), _MINER, _ALL, WEB, "web",
             (f"mnt_ns=container:{_MINER.id}", f"net_ns=pod:{MINER.uid}")),
    _in_miner("pod-namespaces-in-containerd-cgroup", "777004", "system.slice/containerd.service",
              "mnt,pid,net,ipc,uts", _CHILD, "cgroup_ns=host"),
    _in_miner("pod-namespaces-in-made-up-service", "777005", "system.slice/updater.service", "mnt,pid,net,ipc,uts",
              _CHILD, "cgroup_ns=host"),
    _in_miner("only-net-namespace-of-pod", "777006", "system.slice/updater.service", "net", _CHILD,
              *_host("mnt", "pid", "ipc", "uts", "cgroup")),
    _in_miner("only-mount-namespace-of-pod", "777007", "system.slice/updater.service", "mnt", _CHILD,
              *_host("pid", "net", "ipc", "uts", "cgroup")),
    Intruder("spoofed-kubepods-path-under-user-slice", ("/bin/busybox", "sleep", "777008"), _SPOOF,
             disagreements=("mnt_ns=host",)),
    Intruder("host-namespaces-kubelet-look-alike", ("/usr/bin/kubelet", "--hostname-override=look-alike"),
             "system.slice/kubelet-helper.service"),
    _in_miner("host-pid-namespace-child-of-pod", "777009", MINER.cgroup(_MINER), "mnt,net,ipc,uts",
              *_host("pid", "cgroup")),
    _on_node("hidden-from-the-task-list", "888001", "system.slice/updater.service", "tasks"),
    _on_node("hidden-from-proc", "888002", "system.slice/updater.service", "pids"),
    _on_node("hidden-from-both", "888003", "system.slice/updater.service", "tasks pids"),
    _on_node("hidden-from-every-list", "888004", "system.slice/updater.service", "tasks pids children cgroups"),
    _in_miner("hidden-in-a-pod", "888011", MINER.cgroup(_MINER), _ALL, hidden="tasks"),
    _in_miner("hidden-in-a-pod-from-every-list", "888012", MINER.cgroup(_MINER), _ALL,
              hidden="tasks pids children cgroups"),
)  # fmt: skip
