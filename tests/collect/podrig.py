# SPDX-License-Identifier: Apache-2.0
"""A pod on this machine: a container in real namespaces, a real overlay and a real cgroup, as containerd makes one.

The node is a chroot with this machine's programs and /proc and its own /run and /var; root makes it, and it is taken
away again. What the container did to its layer is in SCRIPT.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import uuid
from pathlib import Path
from typing import Self

from tests.acquire.rigs.binds import bind
from tests.acquire.rigs.wait import until

BINDS = ("usr", "bin", "sbin", "lib", "lib64", "etc", "dev", "sys")
PROGRAMS = ("/bin/sh", "/bin/sleep", "/bin/rm", "/bin/mkdir", "/bin/ln")
PASSWORD = "hunter2-in-the-environment"
HEAP = b"the-secret-on-the-heap"
SNAPSHOTS = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
TASKS = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
SCRIPT = """
umask 022
echo made > /made.txt
echo changed > /etc/changed
rm /etc/gone
rm -r /srv/old; mkdir /srv/old; echo new > /srv/old/new
ln -s /etc/shadow /srv/link
echo deleted > /tmp/deleted
exec 7< /tmp/deleted
rm /tmp/deleted
heap="the-secret-on-"; heap="${heap}the-heap"
sleep 3600; exit 1
"""


class PodRig:
    """start() and stop(). root: the node's; container, sandbox: ids; pid: of the container's shell."""

    def __init__(
        self, folder: Path, name: str = "web-7bf68f75d5-86xhc", namespace: str = "shop", uid: str = "",
        container: str = "",
    ) -> None:  # fmt: skip
        self.root = folder / "node"
        self.name, self.namespace = name, namespace
        self.uid = uid or str(uuid.uuid4())
        self.container = container or uuid.uuid4().hex * 2
        self.sandbox = uuid.uuid4().hex * 2
        self.cgroup_path = (
            f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{self.uid.replace('-', '_')}.slice/"
            f"cri-containerd-{self.container}.scope"
        )
        self._mounted: list[Path] = []
        self._cgroups: list[Path] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        root = self.root
        root.mkdir(parents=True)
        for name in BINDS:
            source = Path("/", name)
            if source.is_symlink():
                (root / name).symlink_to(source.readlink())
            elif source.is_dir():
                (root / name).mkdir()
                bind(source, root / name)
                self._mounted.append(root / name)
        for name in ("run", "var", "tmp", "root", "proc", "cgroup"):
            (root / name).mkdir()
        for name in ("run", "var", "dev/shm"):
            self._mount(root / name, "-t", "tmpfs", "rig")
        self._mount(root / "proc", "-t", "proc", "proc")
        self._mount(root / "cgroup", "-t", "cgroup2", "cgroup2")
        self._layers()
        self._records()
        self._begin()

    def _layers(self) -> None:
        lower = self.root / SNAPSHOTS[1:] / "1/fs"
        for folder in ("etc", "srv/old", "tmp", "dev"):
            (lower / folder).mkdir(parents=True)
        (lower / "tmp").chmod(0o1777)
        for name in ("changed", "gone", "same"):
            (lower / "etc" / name).write_text("of the image\n")
        (lower / "srv/old/old").write_text("of the image\n")
        for program in PROGRAMS:
            _with_libraries(Path(program), lower)
        self._image(lower)
        snapshot = f"{SNAPSHOTS}/2"
        for name in ("fs", "work"):
            (self.root / snapshot[1:] / name).mkdir(parents=True)
        # from within, so that the mount's options have the paths that the node has
        merged = f"{TASKS}/{self.container}/rootfs"
        (self.root / merged[1:]).mkdir(parents=True)
        options = f"lowerdir={SNAPSHOTS}/1/fs,upperdir={snapshot}/fs,workdir={snapshot}/work"
        subprocess.run(
            ["chroot", str(self.root), "mount", "-t", "overlay", "-o", options, "overlay", merged],
            check=True, capture_output=True,
        )  # fmt: skip
        self._mounted.append(self.root / merged[1:])

    def _image(self, lower: Path) -> None:
        """What else a rig's image has."""

    def _records(self) -> None:
        """What containerd and the kubelet keep."""
        annotations = {
            "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "web",
            "io.kubernetes.cri.image-name": "registry.example/shop/web:1", "io.kubernetes.cri.sandbox-id": self.sandbox,
            "io.kubernetes.cri.sandbox-name": self.name, "io.kubernetes.cri.sandbox-namespace": self.namespace,
            "io.kubernetes.cri.sandbox-uid": self.uid,
        }  # fmt: skip
        spec = {
            "ociVersion": "1.2.0", "annotations": annotations, "root": {"path": "rootfs"},
            "process": {"args": ["/bin/sh", "-c", SCRIPT], "env": [f"DB_PASSWORD={PASSWORD}", "MODE=shop"], "cwd": "/"},
            "linux": {"cgroupsPath": self.cgroup_path},
        }  # fmt: skip
        task = self.root / TASKS[1:] / self.container
        (task / "config.json").write_text(json.dumps(spec))
        (task / "runtime").write_text("/usr/bin/containerd-shim-runc-v2")
        os.mkfifo(task / "log")
        pause = self.root / TASKS[1:] / self.sandbox
        pause.mkdir()
        pod = {**annotations, "io.kubernetes.cri.container-type": "sandbox"}
        (pause / "config.json").write_text(json.dumps({"ociVersion": "1.2.0", "annotations": pod}))
        runc = self.root / "run/containerd/runc/k8s.io" / self.container
        runc.mkdir(parents=True)
        (runc / "state.json").write_text(json.dumps({"id": self.container, "init_process_pid": 0}))
        logs = self.root / "var/log/pods" / f"{self.namespace}_{self.name}_{self.uid}" / "web"
        logs.mkdir(parents=True)
        (logs / "0.log").write_text("2026-11-29T12:00:00.000000000Z stdout F first run\n")
        (logs / "1.log").write_text("2026-11-29T12:01:00.000000000Z stdout F second run\n")
        (logs / "2.log").symlink_to("/etc/shadow")

    def _make_cgroup(self) -> Path:
        """The container's cgroup, and those above it, which are taken away again."""
        cgroup = folder = self.root / "cgroup" / self.cgroup_path[1:]
        cgroup.mkdir(parents=True)
        while folder != self.root / "cgroup":
            self._cgroups.append(folder)
            folder = folder.parent
        return cgroup

    def _begin(self) -> None:
        cgroup = self._make_cgroup()
        merged = self.root / TASKS[1:] / self.container / "rootfs"
        inside = f'echo $$ > "{cgroup}/cgroup.procs" && exec unshare --mount --pid --net --uts --fork "$@"'
        self._process = subprocess.Popen(
            ["sh", "-c", inside, "sh", "chroot", str(merged), "/bin/sh", "-c", SCRIPT],
            env={"DB_PASSWORD": PASSWORD, "MODE": "shop", "PATH": "/usr/sbin:/usr/bin:/bin"}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(lambda: "sleep" in [_comm(pid) for pid in self.members()], lambda: "no container")
        self.pid = next(pid for pid in self.members() if _root(pid) == merged and _comm(pid) == "sh")
        # runc, which is the parent, leaves the cgroup
        (self.root / "cgroup/cgroup.procs").write_text(str(self._process.pid))

    def members(self) -> list[int]:
        """Processes in the container's cgroup."""
        return [
            int(word) for word in (self.root / "cgroup" / self.cgroup_path[1:] / "cgroup.procs").read_text().split()
        ]

    def stop(self) -> None:
        try:
            for pid in self.members():
                os.kill(pid, signal.SIGKILL)
        except (OSError, FileNotFoundError):
            pass
        if self._process is not None:
            self._process.wait(30)
        for folder in self._cgroups:
            until(lambda folder=folder: _removed(folder), lambda: "a cgroup that stays")  # type: ignore[misc]
        for path in reversed(self._mounted):
            subprocess.run(["umount", "-R", "-l", str(path)], check=False, capture_output=True)
        left = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        if not any(place.startswith(f"{self.root}/") for place in left):
            shutil.rmtree(self.root)

    def document(self, node: str = "node-1") -> dict[str, object]:
        """The pod as an API server has it."""
        return {
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": self.name, "namespace": self.namespace, "uid": self.uid},
            "spec": {
                "nodeName": node, "containers": [{"name": "web", "image": "registry.example/shop/web:1"}],
                "initContainers": [{"name": "wait", "image": "registry.example/wait:1"}],
            },
            "status": {
                "phase": "Running",
                "containerStatuses": [{
                    "name": "web", "restartCount": 1, "containerID": f"containerd://{self.container}",
                    "imageID": "registry.example/shop/web@sha256:" + "ab" * 32, "state": {"running": {}},
                }],
                "initContainerStatuses": [{
                    "name": "wait", "restartCount": 0, "state": {"terminated": {"exitCode": 0}},
                }],
            },
        }  # fmt: skip

    def left(self) -> list[str]:
        """Files of the node that the rig did not make."""
        own = re.compile(r"containerd|log/pods|sshd|^run/mount|^var/(lib|log)$")
        names = [path.relative_to(self.root).as_posix() for base in ("run", "var", "tmp", "root")
                 for path in (self.root / base).rglob("*")]  # fmt: skip
        return sorted(name for name in names if not own.search(name))

    def _mount(self, target: Path, *arguments: str) -> None:
        subprocess.run(["mount", *arguments, str(target)], check=True, capture_output=True)
        self._mounted.append(target)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        # shared with another rig's pods, whose last one takes it away
        return any(child.is_dir() for child in folder.iterdir())
    return True


def _root(pid: int) -> Path:
    return Path(f"/proc/{pid}/root").readlink()


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # ended since it was listed


def _with_libraries(program: Path, root: Path) -> None:
    """Copy a program, and what it is linked with, to the same paths below a root."""
    needed = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout
    for path in [str(program), *re.findall(r"(/\S+) \(0x", needed)]:
        target = root / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(path).resolve(), target)
