# SPDX-License-Identifier: Apache-2.0
"""A pod as Fargate runs one, on this machine: no SYS_PTRACE, no node, several users in one PID namespace.

The container's processes are real, in namespaces, on an overlay, with containerd's default capabilities and no new
privileges; so is the ephemeral container that a PATCH makes, and each exec. Python comes with /usr of this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.acquire.rigs.kube import KubeServer
from tests.acquire.rigs.kube_node import Exec
from tests.acquire.rigs.wait import until
from tests.collect.podrig import TASKS, PodRig

CAPABILITIES = (
    "-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,+setfcap,+setpcap,+net_bind_service,"
    "+sys_chroot,+kill,+audit_write"
)
"""What containerd gives a container that asks for nothing (oci.WithDefaultSpec): no SYS_PTRACE, no SYS_ADMIN."""
LIMITED = ("setpriv", "--bounding-set", CAPABILITIES, "--no-new-privs")
USER = 1000
HEAP, ROOT_HEAP, HIDDEN = b"the-secret-on-the-heap", b"root-s-own-heap-secret", b"hidden-heap-secret"
PASSWORD = "hunter2-in-the-environment"
SCRIPT = """
umask 022
echo changed > /app/config; echo made > /app/made; rm /app/gone
echo volume > /data/note
echo deleted > /app/deleted; exec 7< /app/deleted; rm /app/deleted
heap="the-secret-on-"; heap="${heap}the-heap"
sleep 3600; exit 1
"""
ROOT_SCRIPT = """
echo written > /root/inside; echo changed > /etc/changed
heap="root-s-own-"; heap="${heap}heap-secret"
sleep 3601; exit 1
"""
UNDUMPABLE = """
import ctypes, time
ctypes.CDLL(None).prctl(4, 0)
heap = "hidden-" + "heap-secret"
time.sleep(3602)
"""


class FargateRig(PodRig):
    """pid: of the container's first process (user 1000); root_pid, hidden_pid: beside it (numbers of this machine)."""

    def start(self) -> None:
        self.root_pid = self.hidden_pid = 0
        super().start()

    @property
    def merged(self) -> Path:
        return self.root / TASKS[1:] / self.container / "rootfs"

    def _image(self, lower: Path) -> None:
        for name in ("app", "data", "root", "kept", "proc", "usr", "etc/inner"):
            (lower / name).mkdir(parents=True, exist_ok=True)
        for name in ("app/config", "app/gone", "app/same", "kept/old", "etc/inner/old"):
            (lower / name).write_text("of the image\n")
        for name in ("app", "data"):
            os.chown(lower / name, USER, USER)
        os.chown(lower / "app/config", USER, USER)
        for name in ("root", "kept"):
            (lower / name).chmod(0o700)

    def _begin(self) -> None:
        time.sleep(1.3)  # the image was unpacked before: more than the collector's margin
        cgroup = self._make_cgroup()
        merged = self.merged
        mounts = (
            f"mount -t proc proc {merged}/proc && mount --rbind -o ro /usr {merged}/usr && "
            f"mount -t tmpfs -o mode=755,uid={USER} volume {merged}/data && mount -t tmpfs dev {merged}/dev && "
            f"mknod -m 666 {merged}/dev/null c 1 3 && "
        )
        words = [*LIMITED, "chroot", f"--userspec={USER}:{USER}", "--groups=", str(merged), "/bin/sh", "-c", SCRIPT]
        self._process = subprocess.Popen(
            ["sh", "-c", f'echo $$ > "{cgroup}/cgroup.procs" && exec unshare --mount --pid --net --uts --fork "$@"',
             "sh", "sh", "-c", f'{mounts} exec "$@"', "sh", *words],
            env={"DB_PASSWORD": PASSWORD, "PATH": "/usr/sbin:/usr/bin:/bin"}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self._appears("3600", parent=True)
        (self.root / "cgroup/cgroup.procs").write_text(str(self._process.pid))
        self._beside(0, "/bin/sh", "-c", ROOT_SCRIPT)
        self.root_pid = self._appears("3601", parent=True)
        self._beside(USER, "/usr/bin/python3", "-c", UNDUMPABLE)
        self.hidden_pid = self._appears(UNDUMPABLE)
        until(lambda: Path(f"/proc/{self.hidden_pid}/stat").stat().st_uid == 0, lambda: "it is dumpable")

    def _beside(self, user: int, *command: str) -> None:
        cgroup = self.root / "cgroup" / self.cgroup_path[1:]
        into = ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-u", *LIMITED, "chroot", f"--userspec={user}:{user}",
                "--groups=", str(self.merged), *command]  # fmt: skip
        subprocess.Popen(
            ["sh", "-c", f'echo $$ > "{cgroup}/cgroup.procs" && exec "$@"', "sh", *into], start_new_session=True,
            env={"PATH": "/usr/sbin:/usr/bin:/bin", "OF_ROOT": "yes"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _appears(self, word: str, *, parent: bool = False) -> int:
        """The process in the container whose last argument is `word`, or (parent) the shell above it."""

        def find() -> int:
            for pid in self.members():
                words = _words(pid)
                if words and words[-1] == word and words[0] in ("sleep", "/usr/bin/python3"):
                    return _parent(pid) if parent else pid
            return 0

        until(lambda: bool(find()), lambda: f"no process {word!r}")
        return find()

    def inner(self, pid: int) -> int:
        """A process's number in the pod's PID namespace."""
        rows = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(row for row in rows if row.startswith("NSpid:")).split()[-1])

    def document(self, node: str = "fargate-ip-10-0-0-9.eu-west-1.compute.internal") -> dict[str, Any]:
        """The pod as an API server has it."""
        document: dict[str, Any] = dict(super().document(node))
        document["metadata"]["labels"] = {"eks.amazonaws.com/fargate-profile": "shop", "app": "web"}
        document["status"] |= {"podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}]}
        running = document["status"]["containerStatuses"][0]["state"]
        running["running"] = {"startedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        return document


class Ephemeral:
    """A running ephemeral container, as exec wants one: it has this machine's files and the pod's PID and network."""

    image = None

    def __init__(self, rig: FargateRig, spec: dict[str, Any]) -> None:
        security = spec.get("securityContext") or {}
        self.rig, self.spec = rig, spec
        self.user = security.get("runAsUser", 0), security.get("runAsGroup", security.get("runAsUser", 0))
        dropped = "-all" if (security.get("capabilities") or {}).get("drop") == ["ALL"] else CAPABILITIES
        assert not (security.get("capabilities") or {}).get("add"), "Fargate schedules nothing that adds a capability"
        assert not security.get("privileged")
        assert security["readOnlyRootFilesystem"]
        self.limited = ["setpriv", "--bounding-set", dropped, "--no-new-privs", "--reuid", str(self.user[0]), "--regid",
                        str(self.user[1]), "--clear-groups", "--"]  # fmt: skip
        self.children: list[subprocess.Popen[bytes]] = []
        self.process = subprocess.Popen(
            ["nsenter", "-t", str(rig.pid), "-p", "-n", "-u", "unshare", "-m", "--propagation", "private", "sh", "-c",
             'mount -t proc proc /proc && exec "$@"', "sh", *self.limited, *spec["command"]], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(lambda: self.pid != 0, lambda: "no ephemeral container")

    @property
    def pid(self) -> int:
        """Of its process, on this machine."""
        for path in Path("/proc").iterdir():
            words = _words(int(path.name)) if path.name.isdigit() else []
            if words and words[-1] == self.spec["command"][-1] and words[0] == "/bin/sh":
                return int(path.name)
        return 0

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def words(self, command: list[str]) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-u", "--", *self.limited, *command]

    def kill(self) -> None:
        """With all that each has started: nsenter and unshare leave theirs behind in the pod."""
        for child in [*self.children, self.process]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


class Own(Ephemeral):
    """The pod's own container, for an exec in it, as its user."""

    def __init__(self, rig: FargateRig) -> None:
        self.rig, self.children = rig, []

    @property
    def running(self) -> bool:
        return True

    def words(self, command: list[str]) -> list[str]:
        return ["nsenter", "-t", str(self.rig.pid), "-m", "-p", "-n", "-u", "--", *LIMITED, "chroot",
                f"--userspec={USER}:{USER}", "--groups=", str(self.rig.merged), *command]  # fmt: skip


class InPod(Exec):
    """An exec in one of the pod's containers."""

    container: Any

    def enter(self) -> list[str]:
        words: list[str] = self.container.words(self.command)
        return words


class FargateServer(KubeServer):
    """An API server that knows the pod, and runs what is added to it."""

    def hold(self, rig: FargateRig) -> None:
        """Know the pod."""
        self.rig = rig
        self.own = Own(rig)
        self.made: dict[str, Ephemeral] = {}
        self.dry: list[dict[str, Any]] = []
        self.refuse_start = ""
        self.recorded[f"{rig.namespace}/{rig.name}"] = rig.document()

    def answer(self, request: BaseHTTPRequestHandler, path: str, query: dict[str, str], body: bytes) -> None:
        name = f"{self.rig.namespace}/{self.rig.name}"
        mine = f"/api/v1/namespaces/{self.rig.namespace}/pods/{self.rig.name}"
        if request.command == "PATCH" and path == f"{mine}/ephemeralcontainers":
            if "patch pods/ephemeralcontainers" in self.deny:
                self.fail(request, 403, "Forbidden", "cannot patch resource pods/ephemeralcontainers")
                return
            assert request.headers["Content-Type"] == "application/strategic-merge-patch+json"
            patch = json.loads(body)
            assert patch["metadata"]["uid"] == self.rig.uid
            (spec,) = patch["spec"]["ephemeralContainers"]
            assert spec["targetContainerName"] == "web"
            pod = self.recorded[name]
            if query.get("dryRun") == "All":
                self.dry.append(spec)
            else:
                pod["spec"].setdefault("ephemeralContainers", []).append(spec)
                self._run(pod, spec)
            self.reply(request, 200, pod)
            return
        super().answer(request, path, query, body)

    def _run(self, pod: dict[str, Any], spec: dict[str, Any]) -> None:
        state: dict[str, Any] = {"running": {"startedAt": "2026-11-29T12:00:00Z"}}
        if self.refuse_start:
            state = {"waiting": {"reason": self.refuse_start, "message": "no"}}
        else:
            self.made[spec["name"]] = Ephemeral(self.rig, spec)
        pod["status"].setdefault("ephemeralContainerStatuses", []).append({"name": spec["name"], "state": state})

    def exec(self, request: BaseHTTPRequestHandler, name: str, query: dict[str, list[str]]) -> None:
        (wanted,) = query["container"]
        container: Any = self.own if wanted == "web" else self.made.get(wanted)
        if "create pods/exec" in self.deny or container is None or not container.running:
            self.fail(request, 404, "NotFound", f"container {urllib.parse.quote(wanted)} not found or not running")
            return
        request.close_connection = True
        running = InPod(container, query["command"], "v4.channel.k8s.io", None)
        self.execs.append(running)
        running.serve(request.connection, request.headers["Sec-WebSocket-Key"])

    def stop(self) -> None:
        for made in self.made.values():
            made.kill()
        super().stop()


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
