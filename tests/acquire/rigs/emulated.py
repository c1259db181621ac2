# SPDX-License-Identifier: Apache-2.0
"""A real node in software emulation: Debian's cloud kernel, systemd, sshd, containerd and runc.

No Kubernetes: emulated_pods.py starts containers in the cgroups and with the annotations that it would give them.
Needs root (debootstrap) and Debian.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acquire.rigs.sshd import free_port, keygen

NEEDED = {"debootstrap": "debootstrap", "qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs"}
PACKAGES = (
    "systemd,systemd-sysv,udev,dbus,openssh-server,containerd,runc,iproute2,procps,kmod,curl,openssl,python3,"
    "busybox-static,linux-image-cloud-amd64"
)
HOST = "ip-10-0-9-9.ec2.internal"
IMAGE = "registry.example/lab/busybox:1"
APPLETS = ("sh", "sleep", "cat", "cp", "rm", "echo")
MEGABYTES = 512


def release() -> dict[str, str]:
    """/etc/os-release."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def build(folder: Path) -> None:
    """Fill the folder with node.img, vmlinuz, initrd, key and host_keys, unless they are there: about a minute."""
    if not (folder / "done").exists():
        lacking = [package for program, package in NEEDED.items() if not shutil.which(program)]
        assert not lacking, f"please install {' '.join(lacking)} (tests/run does it as root)"
        _build(folder)
        (folder / "done").touch()


def _build(folder: Path) -> None:
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", release()["VERSION_CODENAME"], str(root)]
    with (folder / "debootstrap.log").open("wb") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, (folder / "debootstrap.log").read_text()[-2000:]
    (folder / "key").unlink(missing_ok=True)
    key = keygen(folder / "key")
    files = {
        "etc/hostname": HOST + "\n",
        "etc/hosts": f"127.0.0.1 localhost {HOST}\n",
        "etc/fstab": "",
        "etc/systemd/network/10.network": "[Match]\nName=eth0\n[Network]\nDHCP=yes\n",
        "etc/modules-load.d/k8s.conf": "overlay\n",
        "root/.ssh/authorized_keys": key.with_suffix(".pub").read_text(),
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "root/.ssh").chmod(0o700)
    (root / "opt/image.tar").write_bytes(oci_image(root / "bin/busybox"))
    services = ["systemd-networkd", "ssh", "containerd"]
    subprocess.run(["chroot", str(root), "systemctl", "enable", *services], check=True, capture_output=True)
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
    shutil.copy(next((root / "boot").glob("initrd.img-*")), folder / "initrd")
    keys = [path.read_text() for path in sorted((root / "etc/ssh").glob("ssh_host_*_key.pub"))]
    (folder / "host_keys").write_text("".join(keys))
    image = folder / "node.img"
    with image.open("wb") as file:
        file.truncate(3 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(root), str(image)], check=True, capture_output=True)
    shutil.rmtree(root)


def oci_image(busybox: Path) -> bytes:
    """A docker-archive of one layer: busybox and names for it."""
    layer, whole = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in ("bin", "tmp", "etc", "proc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = busybox.stat().st_size, 0o755
        tar.addfile(entry, io.BytesIO(busybox.read_bytes()))
        for name in APPLETS:
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()]},
    }).encode()  # fmt: skip
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for path, data in ((name, config), ("layer.tar", layer.getvalue()), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return whole.getvalue()


@dataclass
class EmulatedNode:
    """A booted node; use as a context manager.

    folder: what `build` made. append: more words for the kernel's command line.
    """

    folder: Path
    append: str = ""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> EmulatedNode:
        self.work = Path(tempfile.mkdtemp(prefix="memir-vm-"))
        self.known_hosts = self.work / "known_hosts"
        keys = (self.folder / "host_keys").read_text().splitlines()
        lines = [f"[127.0.0.1]:{self.port} {' '.join(line.split()[:2])}\n" for line in keys]
        self.known_hosts.write_text("".join(lines))
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "2",
            "-m", str(MEGABYTES), "-display", "none", "-serial", f"file:{self.work}/serial",
            "-qmp", f"unix:{self.work}/qmp,server,nowait", "-snapshot",
            "-drive", f"file={self.folder}/node.img,if=virtio,format=raw,cache=unsafe",
            "-nic", f"user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22",
            "-kernel", f"{self.folder}/vmlinuz", "-initrd", f"{self.folder}/initrd",
            "-append", f"root=/dev/vda rw quiet console=ttyS0 net.ifnames=0 panic=1 {self.append}",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=(self.work / "qemu").open("wb"))
        try:
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
        shutil.rmtree(self.work, ignore_errors=True)

    @property
    def key(self) -> Path:
        return self.folder / "key"

    def ssh_command(self, *options: str) -> list[str]:
        """The stock client, for the tests' own looks at the node."""
        return [
            "ssh", "-i", str(self.key), "-p", str(self.port), "-o", f"UserKnownHostsFile={self.known_hosts}",
            "-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "-o", "LogLevel=ERROR", *options, "root@127.0.0.1",
        ]  # fmt: skip

    def run(self, script: str, *, check: bool = True, timeout: float = 900) -> str:
        """A shell script on the node; its output."""
        command = [*self.ssh_command(), "/bin/sh -s"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0 or not check, (script[:300], done.returncode, done.stderr[-1000:])
        return done.stdout

    def wait(self, seconds: float = 1800) -> None:
        """Until sshd and containerd answer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process is None or self.process.poll() is None, (self.work / "qemu").read_text()
            with suppress(subprocess.TimeoutExpired, AssertionError):
                if "up" in self.run("ctr version >/dev/null 2>&1 && echo up", check=False, timeout=120):
                    return
            time.sleep(1)
        raise AssertionError("the node did not come up: " + (self.work / "serial").read_text()[-2000:])

    def qmp(self, command: str) -> None:
        """One command to the machine itself, as system_reset."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(300)
            link.connect(str(self.work / "qmp"))
            lines = link.makefile("rwb", 0)
            lines.readline()
            for one in ("qmp_capabilities", command):
                lines.write(json.dumps({"execute": one}).encode() + b"\n")
                while "return" not in json.loads(lines.readline()):
                    continue

    def truth(self) -> dict[int, dict[str, Any]]:
        """What /proc says of every process, by pid."""
        command = [*self.ssh_command(), "python3 -"]
        done = subprocess.run(command, input=TRUTH, capture_output=True, text=True, check=True, timeout=120)
        return {one["pid"]: one for one in json.loads(done.stdout)}


TRUTH = """
import json, os
def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return None
found = []
for name in os.listdir("/proc"):
    if not name.isdigit():
        continue
    base = "/proc/" + name
    try:
        status = dict(line.split(":\\t", 1) for line in open(base + "/status").read().splitlines() if ":\\t" in line)
        found.append({
            "pid": int(name), "ppid": int(status["PPid"]), "comm": open(base + "/comm").read()[:-1],
            "uid": int(status["Uid"].split()[0]), "start": open(base + "/stat").read().rpartition(")")[2].split()[19],
            "cgroup": open(base + "/cgroup").read().strip().rpartition(":")[2], "exe": link(base + "/exe"),
            "args": open(base + "/cmdline").read().split("\\0")[:-1],
            "ns": {
                kind: int(link(base + "/ns/" + kind).split("[")[1][:-1]) for kind in ("mnt", "pid", "net", "ipc", "uts")
            },
        })
    except (OSError, KeyError, AttributeError):
        continue
print(json.dumps(found))
"""
