# SPDX-License-Identifier: Apache-2.0
"""What a process's own things say of its pod: environment, mounts, the monitor above it.

Each is one witness of several, and each can lie: a process writes its own environment and command line.
None of these functions decides; they say what was said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from memir.kube.annotations import CONTAINER_ID
from memir.kube.cgroup_segments import Guest
from memir.kube.paths import (
    MAX_PATH,
    container_id_of,
    container_name_of,
    pod_uid_of,
    sandbox_id_of,
    storage_id_of,
)

# Names only that hold no secret. The kubelet sets the first three (pkg/kubelet/envvars), the EKS webhooks
# the AWS ones, ECS its own; the rest is how people hand a pod its downward API fields.
_ENVIRONMENT = """
    HOSTNAME KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT
    AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_SESSION_NAME AWS_REGION AWS_DEFAULT_REGION
    AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_EXECUTION_ENV
    ECS_CONTAINER_METADATA_URI ECS_CONTAINER_METADATA_URI_V4
    POD_NAME POD_NAMESPACE POD_UID POD_IP NODE_NAME NODE_IP HOST_IP SERVICE_ACCOUNT
    MY_POD_NAME MY_POD_NAMESPACE MY_POD_IP MY_NODE_NAME K8S_POD_NAME K8S_POD_NAMESPACE K8S_POD_UID
    K8S_NODE_NAME KUBERNETES_POD_NAME KUBERNETES_NAMESPACE KUBERNETES_NODE_NAME CONTAINER_NAME container
"""
ENVIRONMENT = frozenset(_ENVIRONMENT.split())

_K8S_NAME = re.compile(r"k8s_([^_]{1,253})_([^_]{1,253})_([^_]{1,253})_([0-9A-Za-z.-]{1,253})_([0-9]{1,10})")
_KATA_VM = re.compile(
    r"/run/(?:vc/(?:vm|sbs|firecracker)|kata|kata-containers/shared/sandboxes)/([0-9a-f]{64})(?:/|\Z)"
)
_SANDBOX_NAME = re.compile(r"sandbox-([0-9a-f]{64})")
MAX_ARGS = 256  # a shim has below 20 arguments


@dataclass(frozen=True, slots=True)
class MountWitness:
    """Ids in the paths that a process has mounted; more than one of a kind: the node's own, or stolen.

    container_names: (pod UID, name) from the kubelet's termination log, which is mounted in one container.
    container_ids: of containers whose root or files these are; where CRI-O or Docker mounts a sandbox's
        files into a container, the id is the sandbox's.
    """

    pod_uids: tuple[str, ...] = ()
    sandbox_ids: tuple[str, ...] = ()
    container_ids: tuple[str, ...] = ()
    container_names: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ShimWitness:
    """Whose monitor a process says it is.

    kind: "shim" of containerd (of a whole pod since v2, so the id is the sandbox's), "conmon" of one
        container, or "conmonrs" of a pod.
    id: container or sandbox id, as `kind` tells; any text a client chose outside Kubernetes.
    namespace: containerd's (k8s.io, moby), not Kubernetes'.
    pod_name and the others: from conmon's `-n k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`.
    """

    kind: Literal["shim", "conmon", "conmonrs"]
    id: str
    namespace: str | None = None
    guest: Guest | None = None
    container_name: str | None = None
    pod_name: str | None = None
    pod_namespace: str | None = None
    pod_uid: str | None = None


def env_witness(environ: Iterable[str]) -> dict[str, str]:
    """The variables that tell of a pod and hold no secret. Of a repeated one the first, as getenv reads."""
    out: dict[str, str] = {}
    for entry in environ:
        name, equals, value = entry.partition("=")
        if equals and name in ENVIRONMENT and name not in out:
            out[name] = value
    return out


def mount_witness(source_paths: Iterable[str]) -> MountWitness:
    """Ids in the source paths of mounts (mountinfo's root, or the path on the node), each once, in order."""
    uids: dict[str, None] = {}
    sandboxes: dict[str, None] = {}
    containers: dict[str, None] = {}
    names: dict[tuple[str, str], None] = {}
    for path in source_paths:
        if uid := pod_uid_of(path):
            uids[uid] = None
            if named := container_name_of(path):
                names[named] = None
        if sandbox := sandbox_id_of(path):
            sandboxes[sandbox] = None
        if container := storage_id_of(path) or container_id_of(path):
            containers[container] = None
    return MountWitness(tuple(uids), tuple(sandboxes), tuple(containers), tuple(names))


def shim_witness(args: Sequence[str]) -> ShimWitness | None:
    """Read a container monitor's command line; None for any other.

    containerd-shim-runc-v2 `-namespace NS -id ID`; containerd-shim (v1) `-workdir .../NS/ID`; Docker's
    oldest `docker-containerd-shim ID ...`; conmon `-c ID -n k8s_...`; conmonrs `--runtime-dir .../ID/...`.
    """
    if not args:
        return None
    program = args[0][:MAX_PATH].rpartition("/")[2]
    options = options_of(args)
    if "containerd-shim" in program:
        return _containerd_shim(program, options, args)
    if program == "conmon":
        ident = options.get("c") or options.get("cid")
        if not ident:
            return None
        named = _K8S_NAME.fullmatch((options.get("n") or options.get("name") or "")[:1200])
        container, pod, namespace, uid = named.groups()[:4] if named else (None, None, None, None)
        # The kubelet's name for a sandbox.
        container = None if container == "POD" else container
        return ShimWitness("conmon", ident, None, None, container, pod, namespace, uid)
    if program == "conmonrs":
        storage = storage_id_of(options.get("runtime-dir", ""))
        return ShimWitness("conmonrs", storage) if storage else None
    return None


def guest_witness(comm: str, args: Sequence[str]) -> tuple[Guest, str | None] | None:
    """(guest, sandbox id) if the process runs or serves a pod's guest kernel, seen from the node.

    runsc's sandbox and gofer (gVisor); a virtual machine monitor, virtiofsd or shim of Kata. What the pod
    does inside is in the guest's memory, which belongs to such a process.
    """
    program = args[0][:MAX_PATH].rpartition("/")[2] if args else ""
    if program.startswith("runsc") or (comm.startswith("runsc") and program in ("", "exe", comm)):
        ids = [arg for arg in args[1:MAX_ARGS] if CONTAINER_ID.fullmatch(arg)]
        return "gvisor", ids[-1] if ids else None
    for arg in args[:MAX_ARGS]:
        match = _KATA_VM.search(arg[:MAX_PATH]) or _SANDBOX_NAME.fullmatch(arg[:MAX_PATH].partition(",")[0])
        if match:
            return "kata", match.group(1)
    return None


def options_of(args: Sequence[str]) -> dict[str, str]:
    """`-name value`, `--name value` and `--name=value` of a command line, by name; the first of a repeated one."""
    out: dict[str, str] = {}
    for index, arg in enumerate(args[1:MAX_ARGS], 1):
        name, equals, value = arg[:MAX_PATH].partition("=")
        if len(name) < 2 or name[0] != "-":
            continue
        if not equals:
            value = args[index + 1][:MAX_PATH] if index + 1 < len(args) else ""
        out.setdefault(name.lstrip("-"), value)
    return out


def _containerd_shim(program: str, options: dict[str, str], args: Sequence[str]) -> ShimWitness | None:
    guest: Guest | None = "kata" if "-kata" in program else "gvisor" if "-runsc" in program else None
    ident, namespace = options.get("id"), options.get("namespace")
    if not ident and (workdir := options.get("workdir")):
        above, _, ident = workdir.rstrip("/").rpartition("/")
        namespace = namespace or above.rpartition("/")[2]
    if not ident and len(args) > 1 and CONTAINER_ID.fullmatch(args[1]):
        ident = args[1]
    return ShimWitness("shim", ident, namespace or None, guest) if ident else None
