# SPDX-License-Identifier: Apache-2.0
"""A node whose kernel tells each frame of its RAM just before it is stopped (small/frames.c), and what its pods did.

In one image: an upper layer with whiteouts and opaque directories, NAT by the rules that kube-proxy writes, connections
that nobody has accepted, a file and a socket in flight, eBPF programs that a container attached to its own cgroup, a
bash at work, a pod that has been deleted and whose memory is still charged to it. small/acts.c does most of it.
On a disk with XFS a file that is read ahead in large folios, and programs that run from there; memory in large pages
(small/large.c). BPF programs at every place where one can be (small/attach.c).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from tests.lab import pods
from tests.lab.documents import write_container, write_token
from tests.lab.pods import AGENT, API, NODE_IP, WEB, Container, Pod, container_id
from tests.lab.scenario import pod_words

HERE = Path(__file__).parent / "small"
GONE = Pod(
    "report-28391-tq7mv", "shop", "77777777-8888-4888-8888-0123456789ab", "10.0.1.108",
    (Container(container_id("I-report"), "report", ("sh", "-c", "cat /bin/cat >/out/report.bin; sleep 1000000"), 81,
               volumes=(("/var/log/report", "/out"),), image=pods.BUSYBOX),),
    80, owner=("Job", "report-28391"), labels={"job-name": "report-28391"},
)  # fmt: skip
PODS = (WEB, API, AGENT, GONE)
SERVICE, DNS = "172.20.7.7", "172.20.0.10"
COMMANDS = (
    "unset HISTFILE", "id; hostname", "echo MEMIR-BASH $((6 * 7)) > /dev/null", "ls -la /var/run/secrets",
    "curl -s http://169.254.169.254/latest/meta-data/iam/security-credentials/shop-api",
    "export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "for n in 1 2 3; do echo $n; done", "ls -la /var/run/secrets",
)  # fmt: skip
NUMBERS = 500_000
"""Lines of the disk's file: seq 1 NUMBERS."""
MODULES = (
    "virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_console",
    "overlay", "veth", "nf_defrag_ipv4", "nf_defrag_ipv6", "libcrc32c", "nf_conntrack", "nf_nat", "x_tables",
    "ip_tables", "iptable_nat", "xt_nat", "xt_MASQUERADE", "xt_comment", "xt_mark", "xt_tcpudp", "xfs",
    "sch_ingress", "cls_bpf", "act_bpf",
)  # fmt: skip
_XFS = ("xfsprogs", "libinih1", "liburcu8", "libblkid1", "libuuid1")
_BUNDLE = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
_SNAPSHOTS = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
_ALL = "mnt,pid,net,ipc,uts,cgroup"
# in the layers of the image, before the container changes them
LAYER = {
    "etc/motd": "welcome\n", "etc/issue": "Debian\n", "opt/data/one": "1\n", "opt/data/two": "2\n",
    "opt/old/a": "a\n", "opt/old/deep/b": "b\n", "opt/plain/kept": "kept\n", "srv/mode": "m\n",
}  # fmt: skip
CHANGES = (
    "busybox rm /etc/os-release", "busybox rm -r /opt/data", "busybox mkdir /opt/data", "echo new >/opt/data/fresh",
    "busybox rm -r /opt/old", "echo changed >>/etc/motd", "busybox mv /etc/issue /etc/issue.bak",
    "busybox mkdir -p /opt/plain/new/below", "echo x >/opt/plain/new/below/file", "busybox chmod 700 /srv/mode",
    "busybox ln -s /etc/motd /opt/plain/link", "busybox rm /opt/plain/kept", "echo again >/opt/plain/kept",
)  # fmt: skip


def nat_rules() -> str:
    """What iptables-restore is given: two services, one pod behind each, as kube-proxy's iptables mode writes them."""
    endpoint = f"{WEB.ip}/32"
    lines = ["*nat"]
    chains = ("SERVICES", "POSTROUTING", "MARK-MASQ", "SVC-WEB7QX3Z", "SEP-WEB5N2KD", "SVC-DNS4TJ7P", "SEP-DNS6ROUE")
    lines += [f":KUBE-{chain} - [0:0]" for chain in chains]
    for chain in ("PREROUTING", "OUTPUT"):
        lines.append(f'-A {chain} -m comment --comment "kubernetes service portals" -j KUBE-SERVICES')
    lines.append('-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING')
    lines += [
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
        '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE',
        "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
    ]
    for name, address, protocol, port, service, end, target in (
        ("shop/web:http", SERVICE, "tcp", 80, "WEB7QX3Z", "WEB5N2KD", 7000),
        ("kube-system/kube-dns:dns", DNS, "udp", 53, "DNS4TJ7P", "DNS6ROUE", 8080),
    ):
        told, proto = f'-m comment --comment "{name}"', f"-p {protocol} -m {protocol}"
        lines += [
            f"-A KUBE-SERVICES -d {address}/32 {told} {proto} --dport {port} -j KUBE-SVC-{service}",
            f"-A KUBE-SVC-{service} {told} -j KUBE-SEP-{end}",
            f"-A KUBE-SEP-{end} -s {endpoint} {told} -j KUBE-MARK-MASQ",
            f"-A KUBE-SEP-{end} {told} {proto} -j DNAT --to-destination {WEB.ip}:{target}",
        ]
    return "\n".join([*lines, "COMMIT"]) + "\n"


def _act(pod: Pod, container: Container, *words: str) -> str:
    """acts in a container, its account on the console."""
    pid = f"$(busybox cat {_BUNDLE}/{container.id}/init.pid)"
    return f"enter cg={pod.cgroup(container)} pid={pid} ns={_ALL} -- /bin/acts {shlex.join(words)} 9>/dev/ttyS0"


def _links() -> list[str]:
    """The node's end of what a CNI sets up: routes to pods, by which they reach each other."""
    lines = [f"busybox ip addr add {NODE_IP}/32 dev lo", "echo 1 >/proc/sys/net/ipv4/ip_forward"]
    lines += [f"busybox ip route add 172.20.0.0/16 dev lo src {NODE_IP}",
              "echo 600 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout"]  # fmt: skip
    for pod in (WEB, API):
        link = f"eni{pod.uid[:11]}"
        lines += [
            f"busybox ip addr add 169.254.1.1/32 dev {link}",
            f"busybox ip route add {pod.ip}/32 dev {link} src {NODE_IP}",
        ]
    loader = "/lib/ld-linux-x86-64.so.2 --library-path /lib"
    lines.append(
        f"XTABLES_LIBDIR=/lib/xtables {loader} /lib/xtables-legacy-multi iptables-restore </spec/nat.rules"
        " || echo nat FAILED"
    )
    return lines


def _deletion() -> list[str]:
    """A pod is deleted as runtime and kubelet do it: processes, mounts, folders, cgroups. Its log stays on the node."""
    group, volume = f"/sys/fs/cgroup/{GONE.slice}", "kubernetes.io~projected/kube-api-access-x7k2p"
    ids = [container.id for container in (GONE.sandbox, *GONE.containers)]
    folder = f"/var/lib/kubelet/pods/{GONE.uid}"
    return [
        f"SHIM=$(busybox sed -n 's/^PPid:[^0-9]*//p' /proc/$(busybox cat {_BUNDLE}/{ids[0]}/init.pid)/status)",
        f"for scope in {group}/*.scope; do busybox kill -9 $(busybox cat $scope/cgroup.procs); done; busybox sleep 1",
        "busybox kill -9 $SHIM; busybox sleep 1",
        *(f"busybox umount {_BUNDLE}/{each}/rootfs; busybox rm -rf {_BUNDLE}/{each}" for each in ids),
        *(f"busybox rm -rf /run/containerd/runc/k8s.io/{each}" for each in ids),
        f"busybox umount {folder}/volumes/{volume}; busybox rm -rf {folder}",
        *(f"busybox rm -rf {_SNAPSHOTS}/{number}" for number in (GONE.snapshot, GONE.containers[0].snapshot)),
        f"busybox rmdir {group}/*.scope {group} || echo rmdir FAILED",
        f"echo '@TOLD {json.dumps({'what': 'deleted', 'uid': GONE.uid, 'cgroup': '/' + GONE.slice})}'",
    ]


def _disk() -> list[str]:
    """The disk's file system: written, forgotten, read again, so that its pages come as read-ahead makes them."""
    return [
        "busybox mkdir /data; busybox mount -t xfs /dev/nvme0n1 /data || echo xfs FAILED",
        f"busybox seq 1 {NUMBERS} >/data/numbers; busybox cp /bin/busybox /bin/large /bin/attach /data/; busybox sync",
        "echo 3 >/proc/sys/vm/drop_caches; busybox cat /data/numbers >/dev/null",
        "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled",  # else off on so small a machine
        "echo always >/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled",
        "svc system.slice/large.service /data/large /data/numbers 9>/dev/ttyS0",
        "svc system.slice/idle.service /data/busybox sleep 1000000",
    ]


def script() -> str:
    """scenario.sh: pods, then what they do; told() is called by init2 when the rest of the truth has been written."""
    api, web, agent = API.containers[0], WEB.containers[0], AGENT.containers[0]
    lines = [
        "# made by tests/lab/recorded.py",
        *_disk(),
        *(f"{pod_words(pod)} || echo {pod.name} FAILED" for pod in PODS),
        "busybox sleep 2",
        *_links(),
        _act(WEB, web, "listen", "7000", "8"), _act(WEB, web, "listen", "7001", "0"),
        "busybox sleep 1",
        _act(API, api, "connect", SERVICE, "80"), _act(AGENT, agent, "connect", SERVICE, "80"),
        _act(WEB, web, "connect", SERVICE, "80"), _act(API, api, "datagram", DNS, "53"),
        _act(API, api, "connect", WEB.ip, "7001"), _act(AGENT, agent, "connect", WEB.ip, "7001"),
        f"enter cg={API.cgroup(api)} pid=$(busybox cat {_BUNDLE}/{api.id}/init.pid) ns={_ALL} -- "
        + shlex.join(("/bin/sh", "-c", "; ".join(CHANGES))),
        _act(API, api, "flight", "/tmp/in-flight"), _act(API, api, "bpf", "/sys/fs/cgroup"),
        _act(API, api, "bash", *COMMANDS),
        "busybox mount -t tracefs tracefs /sys/kernel/tracing",
        f"svc system.slice/attach.service /data/attach eni{WEB.uid[:11]} 9>/dev/ttyS0",
        *_deletion(),
        f"busybox sleep {len(COMMANDS) + 4}",
        "busybox rm -rf /lib/xtables /lib/xtables-legacy-multi /lib/*.so.*",
        "told() {",
        f"/bin/acts layer {_SNAPSHOTS}/{api.snapshot}/fs",
        "/bin/acts programs /sys/fs/cgroup",
        """busybox sed 's/^/@CONNTRACK {"line":"/; s/$/"}/' /proc/net/nf_conntrack""",
        "}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Everything below a folder that is laid over the guest's root."""
    (folder / "scenario.sh").write_text(script())
    spec = folder / "spec"
    spec.mkdir()
    (spec / "nat.rules").write_text(nat_rules())
    for pod in PODS:
        write_token(spec, pod)
        for container in (pod.sandbox, *pod.containers):
            write_container(spec, pod, container)
    base = folder / "layers" / "base"
    for name, text in LAYER.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)
    (base / "bin").mkdir()
    (folder / "bin").mkdir()
    for program in ("frames", "acts", "large", "attach"):
        binary = folder / "bin" / program
        subprocess.run(["gcc", "-O2", "-static", "-w", "-s", "-o", binary, HERE / f"{program}.c"], check=True)
    shutil.copy(folder / "bin" / "acts", base / "bin" / "acts")


def packages(work: Path, folder: Path) -> None:
    """bash and iptables from Debian's packages, unpacked below `work` and put into the guest; nothing is installed."""
    unpacked = work / "recorded"
    names = ("bash-static", "iptables", "libxtables12", "libip4tc2", "libip6tc2", "libc6", *_XFS)
    if not (unpacked / "done").is_file():
        debs = unpacked / "debs"
        debs.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", *names], cwd=debs, check=True)
        for package in debs.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        (unpacked / "done").touch()
    shutil.copy(unpacked / "bin" / "bash-static", folder / "layers" / "base" / "bin" / "bash")
    lib = folder / "lib"
    (lib / "xtables").mkdir(parents=True)
    for name in ("libxtables.so.12", "libip4tc.so.2", "libip6tc.so.2", "libc.so.6", "ld-linux-x86-64.so.2"):
        shutil.copy(next(unpacked.rglob(name)).resolve(), lib / name)
    shutil.copy(unpacked / "usr" / "sbin" / "xtables-legacy-multi", lib / "xtables-legacy-multi")
    for name in ("NAT", "DNAT", "MASQUERADE", "comment", "mark", "MARK", "tcp", "udp", "standard"):
        shutil.copy(next(unpacked.rglob(f"libxt_{name}.so")).resolve(), lib / "xtables" / f"libxt_{name}.so")


def make_disk(work: Path, disk: Path) -> None:
    """An empty disk with XFS, made by the packages' own mkfs.xfs."""
    unpacked = work / "recorded"
    with disk.open("wb") as stream:
        stream.truncate(320 << 20)
    libraries = ":".join(str(unpacked / folder / "x86_64-linux-gnu") for folder in ("lib", "usr/lib"))
    environment = os.environ | {"LD_LIBRARY_PATH": libraries}
    subprocess.run([unpacked / "sbin" / "mkfs.xfs", "-q", disk], check=True, env=environment)
