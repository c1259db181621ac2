# SPDX-License-Identifier: Apache-2.0
"""tests/lab/check pod-images: `memir acquire pod` with its helper on a real API server, kubelet and containerd.

Three images: an empty one, busybox alone, and a Debian root without util-linux, procps, findutils and tar. For each: a
service account that may do what memir's own checks ask for and nothing else acquires the node; the image verifies; its
pods are the API's; nothing of the run is left in the cluster, and on the node's disk only what the receipt names.
Prints a table; exit code 1 if a line of it is wrong. By hand: it needs root, Debian, Go and 20 minutes.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet

from memir.acquire.transports.pod.check import RIGHTS, SECRET_RIGHT
from tests.images import ROOT, cache
from tests.lab.kube import mkoci

HERE = Path(__file__).resolve().parent / "kube"
NODE = "ip-10-0-1-23.ec2.internal"
SPACE, ACCOUNT = "forensics", "responder"
PACKAGES = (
    "util-linux",
    "mount",
    "procps",
    "findutils",
    "tar",
    "nginx-light",
    "nginx-common",
    "python3-minimal",
    "perl-base",
)
KINDS = "pods,secrets,configmaps,serviceaccounts,roles,rolebindings,persistentvolumeclaims,jobs,leases"
# what the receipt's traces name: journals and logs, containerd's records, mount points in the pod's layers, its address
TRACES = (
    "/var/log/", "/var/lib/cni/", "/var/lib/containerd/io.containerd.metadata.v1.bolt/",
    "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/metadata.db",
    "/var/lib/containerd/io.containerd.grpc.v1.cri/",
)  # fmt: skip
MOUNT_POINT = re.compile(
    r"/var/lib/containerd/io\.containerd\.snapshotter\.v1\.\w+/snapshots/\d+/fs/etc/(hosts|hostname|resolv\.conf) 0"
)
# what a node writes with or without a run: kubelet's checkpoints, clocks and caches
ALWAYS = ("/var/lib/kubelet/", "/var/lib/systemd/", "/var/lib/dhcp", "/var/cache/", "/var/tmp/systemd-private")


def lab() -> Path:
    """Where the node's parts are made and kept."""
    return Path(os.environ.get("LAB") or cache() / "lab" / "kube")


@dataclass
class Line:
    """One line of the table."""

    image: str
    point: str
    value: str
    right: bool


def sh(
    *words: str | Path, limit: float = 600, data: bytes | None = None, env: Mapping[str, str] | None = None
) -> bytes:
    """Output of a program that must end well in time."""
    done = subprocess.run(
        [str(word) for word in words], input=data, capture_output=True, timeout=limit, env=os.environ | (env or {}),
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{words[:6]} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def script(name: str, *words: str, limit: float = 7200, env: Mapping[str, str] | None = None) -> None:
    """One of kube/*.sh, its output on ours. limit: seconds; the binaries took 40 minutes at a load of 12."""
    environment = {**os.environ, "LAB": str(lab()), **(env or {})}
    subprocess.run(["bash", HERE / name, *words], check=True, timeout=limit, env=environment)


def kubectl(*words: str, data: bytes | None = None) -> bytes:
    return sh(lab() / "k8s/kubectl", "--kubeconfig", lab() / "admin.conf", *words, data=data, limit=120)


def node(command: str, *, data: bytes | None = None, limit: float = 600) -> str:
    """A command on the node, over ssh."""
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    words = [part for option in options for part in ("-o", option)]
    out = sh("ssh", "-i", lab() / "key", "-p", "2222", *words, "root@127.0.0.1", command, data=data, limit=limit)
    return out.decode(errors="replace")


def folders() -> dict[str, Path]:
    """Root file systems of the three images, by name."""
    made = lab() / "pod-images"
    shutil.rmtree(made, ignore_errors=True)
    (made / "empty").mkdir(parents=True)
    (made / "busybox/bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", made / "busybox/bin/busybox")
    shutil.copytree(lab() / "web", made / "debian", symlinks=True, ignore=shutil.ignore_patterns("dev", "proc", "sys"))
    info = made / "debian/var/lib/dpkg/info"
    for package in PACKAGES:
        for path in info.glob(f"{package}*.list"):
            for line in path.read_text().splitlines():
                file = made / "debian" / line.lstrip("/")
                if file.is_file() or (file.is_symlink() and not file.is_dir()):
                    file.unlink()
    for name in ("setsid", "mount", "ps", "find", "tar", "xargs"):
        assert not list((made / "debian/usr/bin").glob(name)), name
    assert (made / "debian/usr/bin/sha256sum").exists()
    return {name: made / name for name in ("empty", "busybox", "debian")}


def send_images() -> None:
    """Into the node's containerd, through a pipe: an archive in the node's /run would fill its memory."""
    for name, folder in folders().items():
        archive = lab() / "pod-images" / f"{name}.tar"
        mkoci.make(archive, f"registry.example/forensics/{name}:1", "/none", [folder])
        node("ctr -n k8s.io images import -", data=archive.read_bytes(), limit=900)


def account() -> Path:
    """A kubeconfig of a service account with the rights that memir's checks ask for, and no others."""
    rules: dict[tuple[str, str], list[str]] = {}
    for verb, resource, sub in (*RIGHTS, SECRET_RIGHT):
        rules.setdefault(("" if resource == "nodes" else SPACE, f"{resource}/{sub}" if sub else resource), []).append(
            verb
        )
    subject = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SPACE}]
    items: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": SPACE, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": SPACE}},
    ]  # fmt: skip
    for space, kind in (("", "ClusterRole"), (SPACE, "Role")):
        meta = {"name": ACCOUNT} | ({"namespace": space} if space else {})
        api = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": meta}
        given = [
            {"apiGroups": [""], "resources": [what], "verbs": verbs}
            for (to, what), verbs in rules.items()
            if to == space
        ]
        items.append(api | {"kind": kind, "rules": given})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": ACCOUNT}
        items.append(api | {"kind": f"{kind}Binding", "roleRef": role, "subjects": subject})
    kubectl("apply", "-f", "-", data=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode())
    token = kubectl("-n", SPACE, "create", "token", ACCOUNT, "--duration=8h").decode().strip()
    authority = base64.b64encode((lab() / "pki/ca.crt").read_bytes()).decode()
    path = lab() / "responder.conf"
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {
            "certificate-authority-data": authority, "server": "https://127.0.0.1:16443"}}],
        "users": [{"name": ACCOUNT, "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": ACCOUNT, "namespace": SPACE}}],
    }))  # fmt: skip
    path.chmod(0o600)
    return path


def objects() -> set[str]:
    """Every object of these kinds in the cluster, but leases' times."""
    listed = json.loads(kubectl("get", KINDS, "-A", "-o", "json"))["items"]
    return {f"{one['kind']} {one['metadata'].get('namespace')}/{one['metadata']['name']}" for one in listed}


def new_on_disk() -> list[str]:
    """Files of the node's disk that are newer than the mark."""
    out = node("sync; find / -xdev -type f -newer /root/mark -printf '%p %s\\n' | sort")
    return [line for line in out.splitlines() if not line.startswith("/root/")]


def memir(*words: str | Path, limit: float = 1800) -> tuple[int, str, float]:
    """Exit code, output and seconds of a run of ours."""
    began = time.monotonic()
    done = subprocess.run(
        ["nice", "-n", "5", sys.executable, "-m", "memir", *(str(word) for word in words)], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit, check=False, text=True, errors="replace",
    )  # fmt: skip
    return done.returncode, done.stdout, time.monotonic() - began


def _pods_of_the_api() -> set[tuple[str, str]]:
    listed = json.loads(kubectl("get", "pods", "-A", "-o", "json"))["items"]
    return {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in listed}


def _pods_of_the_case(case: Path) -> set[tuple[str, str]]:
    rows = pyarrow.parquet.read_table(
        case / "tables" / "pods.parquet", columns=["namespace", "pod_name", "removed"]
    ).to_pylist()
    return {(row["namespace"], row["pod_name"]) for row in rows if not row["removed"]}


def check_image(name: str, config: Path, key: Path | None, out: Path, image: str = "") -> list[Line]:
    """Acquire through a pod of one image, and hold everything against the API and the node.

    image: its name in the node's containerd, where it is none of folders().
    """
    evidence, case = out / name, out / f"{name}.case"
    for path in (evidence, case):
        shutil.rmtree(path, ignore_errors=True)
    before, lines = objects(), list[Line]()
    # free pages are zeros (init_on_free=1): without its caches half as much goes through the emulated processor
    node("sync; echo 3 > /proc/sys/vm/drop_caches; touch /root/mark; sleep 1")

    def line(point: str, value: object, right: bool) -> None:
        lines.append(Line(name, point, str(value), right))
        print(f"{name:8} {'ok   ' if right else 'WRONG'} {point}: {value}", flush=True)

    sign = ("--sign-key", key) if key is not None else ()
    code, text, seconds = memir(
        "acquire", "pod", "--node", NODE, "-n", SPACE, "--image", image or f"registry.example/forensics/{name}:1",
        "--kubeconfig", config, "-o", evidence, "--case", "LAB", *sign,
    )  # fmt: skip
    size = sum(file.stat().st_size for file in evidence.glob("image*"))
    line("acquire", f"exit code {code}, {size >> 20} MiB, {seconds:.0f} s", code == 0)
    if code:
        print(text)
        return lines
    expected = 0 if key is not None else 5
    code, text, _ = memir("verify", evidence)
    line("verify", f"exit code {code} ({'signed' if key is not None else 'unsigned'})", code == expected)
    api = _pods_of_the_api()
    left = objects() - before
    line("left in the cluster", sorted(left) or "nothing", not left)
    files = new_on_disk()  # path and size: mount points are empty
    other = [path for path in files if not path.startswith((*TRACES, *ALWAYS)) and not MOUNT_POINT.fullmatch(path)]
    line("left on the node's disk beyond the receipt's list", other or f"nothing ({len(files)} files)", not other)
    # since the mark: memir's own image has the helper's source
    newer = "find /var/lib /opt /etc /tmp /var/tmp -xdev -type f -cnewer /root/mark"
    named = node(newer + " -exec grep -l memir-helper: {} + 2>/dev/null | head; ls -A /dev/shm")
    line("the helper's bytes on the node", named.split() or "nowhere", not named.split())
    code, text, seconds = memir("analyze", evidence, "-o", case)
    if code:
        print(text)
    mine = {pod for pod in _pods_of_the_case(case) if pod[0] == SPACE}
    pods = _pods_of_the_case(case) - mine
    difference = f"missing {sorted(api - pods)}, more {sorted(pods - api)}" if pods != api else "the API's"
    line("analyze", f"exit code {code}, {seconds:.0f} s, {len(pods)} pods: {difference}", code == 0 and pods == api)
    line("the run's own pod in RAM", sorted(mine), len(mine) == 1)
    shutil.rmtree(case, ignore_errors=True)
    for taken in evidence.glob("image*"):
        taken.unlink()
    return lines


def tools() -> None:
    """The lab's own tool store, with AVML and the helper as its source is now."""
    os.environ.setdefault("MEMIR_TOOLS", str(lab() / "tools"))
    listed = memir("tools", "list", "--json")[1]
    for tool in ("helper",) if '"tool": "avml"' in listed else ("helper", "avml"):
        code, text, _ = memir("tools", "build", tool)
        if code:
            raise SystemExit(f"memir tools build {tool} ended with {code}: {text}")


def main(names: Sequence[str] = ()) -> int:
    """0 if every line is right."""
    if not (lab() / "node.img").is_file():
        for step in ("1-packages.sh", "2-kubernetes.sh", "3-node.sh"):
            script(step)
    out = lab() / "out" / "pod-images"
    out.mkdir(parents=True, exist_ok=True)
    out.chmod(0o700)
    key = out / "sign.pem"
    if not key.exists():
        sh("openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
        key.chmod(0o600)
    tools()
    lines: list[Line] = []
    try:
        if not os.environ.get("RUNNING"):
            script("4-up.sh", os.environ.get("MB", "1024"), "init_on_free=1")
        send_images()
        config = account()
        for name in names or ("empty", "busybox", "debian"):
            lines += check_image(name, config, None if name == "empty" else key, out)
    finally:
        if not os.environ.get("RUNNING"):
            script("7-down.sh")
    for one in lines:
        print(f"| {one.image} | {one.point} | {one.value} | {'right' if one.right else 'WRONG'} |")
    return int(not lines or not all(one.right for one in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
