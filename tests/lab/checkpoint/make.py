# SPDX-License-Identifier: Apache-2.0
"""Make the samples' checkpoint archive: a container of runc's, dumped by CRIU while it runs on, and its own /proc.

As root, with runc, busybox (static), CRIU (4.2.1 was used) and iptables on PATH:
`python -m tests.lab.checkpoint.make FOLDER`. CRIU's images are real: runc has them written, as containerd's shim has
it do. The files around them (config.dump, spec.dump, status.dump, rootfs-diff.tar) are written here in the form that
containerd 2.x gives them (CheckpointContainer in internal/cri/server/container_checkpoint_linux.go): no kubelet had a
part in it.

Writes checkpoint-web-7d9f_shop-web.tar.zst and checkpoint-web-7d9f_shop-web.truth.json.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zstandard

NAME = "checkpoint-web-7d9f_shop-web"
CONTAINER = "6f1e" + "0123456789ab" * 5
SANDBOX = "a5" * 32
POD_UID = "0f7c2a44-1d5e-4b7a-9a53-6f3b8e1d2c77"
SCRIPT = r"""
export STAGE2=late-variable
busybox syslogd -n -O /tmp/log &
busybox nc -ll -p 8443 -e busybox cat &
busybox sh -c 'exec 7>/tmp/dropped.bin; echo MEMIR-DELETED >&7; rm /tmp/dropped.bin
M=MEMIR-MARKER-$((6*7))-IN-HEAP; cd /tmp; while :; do busybox sleep 1000; done' &
busybox sleep 1
busybox sleep 1000 | busybox nc 127.0.0.1 8443 &
busybox sleep 1; busybox rm /etc/motd; echo changed > /etc/app.conf; echo ready > /tmp/ready
wait
"""
ANNOTATIONS = {
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.container-name": "web",
    "io.kubernetes.cri.image-name": "docker.io/library/busybox:1.35.0",
    "io.kubernetes.cri.sandbox-id": SANDBOX,
    "io.kubernetes.cri.sandbox-name": "web-7d9f",
    "io.kubernetes.cri.sandbox-namespace": "shop",
    "io.kubernetes.cri.sandbox-uid": POD_UID,
}


def main() -> None:
    """Run, record, dump, pack, clean up."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        runc = ["runc", "--root", str(work / "runc")]
        bundle(work / "bundle")
        created = datetime.now(UTC)
        _, log = os.pipe()  # as the shim gives it
        subprocess.run([*runc, "run", "-d", "--bundle", str(work / "bundle"), CONTAINER], check=True, stdout=log,
                       stderr=log, stdin=subprocess.DEVNULL)  # fmt: skip
        try:
            wait_for(work / "bundle/rootfs/tmp/ready")
            told = json.loads(subprocess.run([*runc, "ps", "-f", "json", CONTAINER], check=True, capture_output=True,
                                             text=True).stdout)  # fmt: skip
            truth = {"processes": [process(pid) for pid in told], "mounts": mounts(min(told)), "tcp": tcp(min(told))}
            subprocess.run([*runc, "checkpoint", "--leave-running", "--tcp-established", "--file-locks", "--image-path",
                            str(work / "images"), "--work-path", str(work), CONTAINER], check=True)  # fmt: skip
        except subprocess.CalledProcessError:
            print((work / "dump.log").read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            subprocess.run([*runc, "kill", "-a", CONTAINER, "KILL"], check=False)
            time.sleep(1)
            subprocess.run([*runc, "delete", "--force", CONTAINER], check=False)
        data = archive(work, created, datetime.now(UTC))
    target.mkdir(exist_ok=True)
    (target / f"{NAME}.tar.zst").write_bytes(zstandard.ZstdCompressor(19).compress(data))
    (target / f"{NAME}.truth.json").write_text(json.dumps(truth, indent=1) + "\n")


def bundle(folder: Path) -> None:
    """A bundle of busybox in a copy-on-write root as an image would give it; and what it had before it ran."""
    for name in ("bin", "proc", "dev", "tmp", "etc", "sys", "run"):
        (folder / "rootfs" / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", folder / "rootfs/bin/busybox")
    (folder / "rootfs/etc/motd").write_text("welcome\n")
    (folder / "rootfs/etc/app.conf").write_text("as in the image\n")
    subprocess.run(["runc", "spec"], cwd=folder, check=True)
    spec = json.loads((folder / "config.json").read_text())
    spec["process"] |= {
        "terminal": False,
        "args": ["busybox", "sh", "-c", SCRIPT],
        "env": ["PATH=/bin", "HOSTNAME=web-7d9f", "DB_PASSWORD=correct-horse-battery", "KUBERNETES_PORT=443"],
    }
    spec["root"]["readonly"] = False
    spec["hostname"] = "web-7d9f"
    spec["annotations"] = ANNOTATIONS
    keep = ("/proc", "/dev", "/dev/shm", "/dev/pts")
    spec["mounts"] = [mount for mount in spec["mounts"] if mount["destination"] in keep]
    spec["linux"]["cgroupsPath"] = f"/kubepods/besteffort/pod{POD_UID}/{CONTAINER}"
    (folder / "config.json").write_text(json.dumps(spec))


def wait_for(path: Path) -> None:
    """Until the container has done what it should have done before the dump."""
    for _ in range(100):
        if path.exists():
            time.sleep(0.5)
            return
        time.sleep(0.1)
    raise SystemExit(f"{path} did not come")


def process(pid: int) -> dict[str, Any]:
    """What /proc says of a process, pids as its container has them."""
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
    nspid = status["NSpid"].split()[-1]
    parent = int(status["PPid"])
    inside = Path(f"/proc/{parent}/status").read_text().split("NSpid:\t")[1].splitlines()[0].split()
    return {
        "pid": int(nspid),
        "ppid": int(inside[-1]) if len(inside) == len(status["NSpid"].split()) else 0,
        "comm": status["Name"],
        "uid": int(status["Uid"].split()[0]),
        "cap_effective": int(status["CapEff"], 16),
        "seccomp": int(status["Seccomp"]),
        "args": strings(folder / "cmdline"),
        "environ": strings(folder / "environ"),
        "exe": str((folder / "exe").readlink()),
        "cwd": str((folder / "cwd").readlink()),
        "fds": {int(entry.name): str(entry.readlink()) for entry in (folder / "fd").iterdir()},
        "maps": (folder / "maps").read_text().splitlines(),
    }


def strings(path: Path) -> list[str]:
    """A file of strings that end in NUL."""
    return [part.decode() for part in path.read_bytes().split(b"\0")][:-1]


def mounts(pid: int) -> list[list[str]]:
    """[mount point, file system type, root] of mountinfo."""
    rows = []
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        front, _, back = line.partition(" - ")
        rows.append([front.split()[4], back.split()[0], front.split()[3]])
    return rows


def tcp(pid: int) -> list[str]:
    """Lines of the container's /proc/net/tcp and tcp6."""
    lines = []
    for name in ("tcp", "tcp6"):
        lines += Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    return lines


def archive(work: Path, created: datetime, taken: datetime) -> bytes:
    """The tar as containerd writes it."""
    spec = (work / "bundle/config.json").read_bytes()
    config = {
        "id": CONTAINER, "name": "k8s_web", "rootfsImage": "docker.io/library/busybox:1.35.0",
        "rootfsImageRef": "docker.io/library/busybox@sha256:" + "5e" * 32,
        "rootfsImageName": "docker.io/library/busybox:1.35.0", "runtime": "io.containerd.runc.v2",
        "createdTime": created.isoformat(), "checkpointedTime": taken.isoformat(), "restoredTime":
        "0001-01-01T00:00:00Z", "restored": False,
    }  # fmt: skip
    status = {
        "id": CONTAINER, "metadata": {"name": "web", "attempt": 2}, "state": 1,
        "created_at": int(created.timestamp() * 1e9), "started_at": int(created.timestamp() * 1e9) + 250_000_000,
        "image": {"image": config["rootfsImageName"]}, "image_ref": config["rootfsImageRef"],
        "labels": {
            "io.kubernetes.container.name": "web", "io.kubernetes.pod.name": "web-7d9f",
            "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": POD_UID,
        },
        "log_path": f"/var/log/pods/shop_web-7d9f_{POD_UID}/web/2.log",
    }  # fmt: skip
    changed = io.BytesIO()
    with tarfile.open(fileobj=changed, mode="w") as layer:
        layer.add(work / "bundle/rootfs/etc/app.conf", "etc/app.conf")
        layer.add(work / "bundle/rootfs/tmp/ready", "tmp/ready")
        layer.addfile(tarfile.TarInfo("etc/.wh.motd"))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (
            ("config.dump", json.dumps(config).encode()), ("spec.dump", spec),
            ("status.dump", json.dumps(status).encode()), ("rootfs-diff.tar", changed.getvalue()),
        ):  # fmt: skip
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for path in sorted((work / "images").iterdir()):
            tar.add(path, f"checkpoint/{path.name}")
        tar.add(work / "stats-dump", "stats-dump")
    return out.getvalue()


if __name__ == "__main__":
    main()
