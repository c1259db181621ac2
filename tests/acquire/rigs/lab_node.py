"""A plain Debian node in software emulation: its own kernel, systemd, sshd, containerd and runc; no Kubernetes.

Built with debootstrap, as the suite of this host, so root and Debian are needed. Nobody has to have KVM. The network is
closed: the node is reached by ssh on a loopback port, and reaches nothing. MEMIR_LAB_CACHE names a folder that keeps the
built node, for who works on these tests; it is built anew when the recipe here changes.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.acquire.rigs.lab_oci import oci_archive
from tests.acquire.rigs.sshd import free_port, keygen

NEEDED = {
    "debootstrap": "debootstrap", "qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs",
    "setpriv": "util-linux", "ssh": "openssh-client", "ssh-keygen": "openssh-client",
}  # fmt: skip
"""Programs, and the Debian packages that have them."""
PACKAGES = (
    "linux-image-cloud-amd64", "systemd", "systemd-sysv", "udev", "dbus", "openssh-server", "containerd", "runc",
    "python3", "curl", "openssl", "procps", "kmod", "iproute2", "busybox-static",
)  # fmt: skip
HOST = "ip-10-0-7-7.eu-west-1.compute.internal"
MEGABYTES = 512
DISK = 2 << 30
APPLETS = ("sh", "sleep", "cp", "rm", "mkdir", "readlink", "echo", "true")
FILES = {
    "etc/hostname": f"{HOST}\n",
    "etc/hosts": f"127.0.0.1 localhost {HOST}\n",
    "etc/fstab": "",
    "etc/systemd/network/10-lab.network": "[Match]\nName=eth0\n[Network]\nDHCP=yes\n",
    "etc/modules-load.d/lab.conf": "overlay\n",
    # with `quiet`, systemd tells nothing of a unit that hangs
    "etc/systemd/system.conf.d/lab.conf": "[Manager]\nDefaultTimeoutStartSec=300\n",
}
# they look for a mirror that cannot be reached, whenever they like
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer")


def suite() -> dict[str, str]:
    """This host's /etc/os-release; {} where there is none."""
    path = Path("/etc/os-release")
    lines = path.read_text().splitlines() if path.exists() else []
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def why_not() -> str:
    """Why no node can be built here at all, "" if one can. A missing program is no such reason: it can be installed."""
    if os.geteuid() != 0:
        return "debootstrap needs root"
    if suite().get("ID") != "debian":
        return "the node is built as this host's own Debian suite, and this is no Debian"
    return ""


def require() -> None:
    """Fail, naming the packages, when programs are missing."""
    lacking = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    assert not lacking, f"the emulated node needs: apt-get install {' '.join(lacking)} (tests/run does so as root)"


@dataclass(frozen=True)
class Parts:
    """What a node boots from: node.img, vmlinuz and initrd, its host keys, and the key of who may log in."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "key"

    def host_keys(self) -> list[str]:
        return (self.folder / "host_keys").read_text().splitlines()


def parts(scratch: Path) -> Parts:
    """The built node: in `scratch`, or kept in MEMIR_LAB_CACHE."""
    kept = os.environ.get("MEMIR_LAB_CACHE")
    recipe = inspect.getsource(sys.modules[__name__]) + suite()["VERSION_CODENAME"]
    folder = Path(kept) / hashlib.sha256(recipe.encode()).hexdigest()[:12] if kept else scratch / "node"
    if not (folder / "built").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        build(folder)
        (folder / "built").touch()
    return Parts(folder)


def build(folder: Path) -> None:
    """Make everything that Parts names."""
    root, log = folder / "root", folder / "debootstrap.log"
    include = ",".join(PACKAGES)
    command = ["debootstrap", "--variant=minbase", f"--include={include}", suite()["VERSION_CODENAME"], str(root)]
    with log.open("wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, f"debootstrap failed: {log.read_text()[-2000:]}"
    public = keygen(folder / "key").with_suffix(".pub").read_text()
    for name, text in {**FILES, "root/.ssh/authorized_keys": public}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "root/.ssh").chmod(0o700)
    (root / "opt/image.tar").write_bytes(oci_archive(root / "bin/busybox", APPLETS))
    for words in (("enable", "systemd-networkd", "ssh", "containerd"), ("mask", *MASKED)):
        subprocess.run(["chroot", str(root), "systemctl", *words], check=True, capture_output=True)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(next((root / "boot").glob(f"{name}-*")), folder / name.removesuffix(".img"))
    keys = [path.read_text() for path in sorted((root / "etc/ssh").glob("ssh_host_*_key.pub"))]
    (folder / "host_keys").write_text("".join(keys))
    # what no node runs from costs time to copy
    for name in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"):
        shutil.rmtree(root / name, ignore_errors=True)
    with (folder / "node.img").open("wb") as image:
        image.truncate(DISK)
    command = ["mkfs.ext4", "-q", "-F", "-d", str(root), str(folder / "node.img")]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(root)


@dataclass
class LabNode:
    """A booted node; use as a context manager. append: more words for the kernel's command line."""

    append: str = ""
    port: int = field(default_factory=free_port)

    def __enter__(self) -> LabNode:
        require()
        with ExitStack() as stack:
            self.work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memir-lab-")))
            self.parts = parts(self.work)
            self.known_hosts = self.work / "known_hosts"
            lines = [f"[127.0.0.1]:{self.port} {' '.join(key.split()[:2])}\n" for key in self.parts.host_keys()]
            self.known_hosts.write_text("".join(lines))
            with (self.work / "qemu").open("wb") as errors:
                self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
            stack.callback(self.process.wait, 30)
            stack.callback(self.process.kill)
            self.wait()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def command(self) -> list[str]:
        """The machine. Its disk is never written to (-snapshot); it dies with this process, however that ends."""
        folder = self.parts.folder
        return [
            "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg,thread=multi",
            "-cpu", "max,la57=off", "-smp", "2", "-m", str(MEGABYTES), "-display", "none", "-snapshot",
            "-serial", f"file:{self.work}/serial", "-qmp", f"unix:{self.work}/qmp,server,nowait",
            "-drive", f"file={folder}/node.img,if=virtio,format=raw,cache=unsafe",
            "-nic", f"user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22",
            "-kernel", f"{folder}/vmlinuz", "-initrd", f"{folder}/initrd",
            "-append", f"root=/dev/vda rw quiet console=ttyS0 net.ifnames=0 panic=1 {self.append}".strip(),
        ]  # fmt: skip

    def ssh(self, *options: str) -> list[str]:
        """The stock client: the tests look at the node by another way than memir's."""
        return [
            "ssh", "-F", "none", "-i", str(self.parts.key), "-p", str(self.port), "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "StrictHostKeyChecking=yes",
            "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR", *options, "root@127.0.0.1",
        ]  # fmt: skip

    def run(self, script: str, program: str = "/bin/sh -s", *, timeout: float = 120) -> str:
        """A script, of sh or of another program, on the node; its output. It must end with 0."""
        command = [*self.ssh(), program]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0, (script[:300], done.returncode, done.stderr[-1000:])
        return done.stdout

    def wait(self, seconds: float = 240, unlike: str = "") -> None:
        """Until the node has booted, in a boot whose id is another than `unlike`, and nothing is starting any more."""
        end, said = time.monotonic() + seconds, "it was not asked"
        script = "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running --wait; ctr version >&2"
        while time.monotonic() < end:
            assert self.process.poll() is None, (self.work / "qemu").read_text()
            try:
                found = self.run(script, timeout=min(120, seconds)).split()
            except (subprocess.TimeoutExpired, AssertionError) as error:
                said = str(error)
                time.sleep(1)
                continue
            assert found[1] == "running", self.run("systemctl --failed --no-legend; systemctl list-jobs")
            if found[0] != unlike:
                return
        raise AssertionError(f"the node did not come up: {said}\n{(self.work / 'serial').read_text()[-2000:]}")

    def boot_id(self) -> str:
        return self.run("cat /proc/sys/kernel/random/boot_id").strip()

    def machine(self, command: str) -> None:
        """A command to the machine itself (QMP), as system_reset."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(30)
            link.connect(str(self.work / "qmp"))
            lines = link.makefile("rwb", 0)
            lines.readline()
            for one in ("qmp_capabilities", command):
                lines.write(json.dumps({"execute": one}).encode() + b"\n")
                # events come in between
                while "return" not in (answer := json.loads(lines.readline())):
                    assert "error" not in answer, answer
