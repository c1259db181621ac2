# SPDX-License-Identifier: Apache-2.0
"""What containerd, runc and the API server write of a pod: config.json, state.json, the API's pods.

Field names and their order are those of containerd 1.6 (pkg/cri), runc 1.1 (libcontainer.State) and Kubernetes 1.34
(core/v1).
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.lab import pods
from tests.lab.pods import HELPER, HELPER_CGROUP, NODE, NODE_IP, Container, Pod

_BUNDLE = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/"
_CRI = "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/"
_CAPABILITIES = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
_MORE_CAPABILITIES = (
    "AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_LOCK",
    "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "PERFMON",
    "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE",
    "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
)  # fmt: skip
_MASKED = ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]


def _mount(destination: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _bind(destination: str, source: str, mode: str = "rw") -> dict[str, Any]:
    return _mount(destination, "bind", source, "rbind", "rprivate", mode)


def _mounts(pod: Pod | None, container: Container) -> list[dict[str, Any]]:
    mounts = [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    ]
    if pod is None:
        return mounts
    sandbox = _CRI + pod.sandbox.id
    mounts.append(_bind("/etc/resolv.conf", f"{sandbox}/resolv.conf"))
    if container == pod.sandbox:
        return mounts
    kubelet = f"/var/lib/kubelet/pods/{pod.uid}"
    token = f"{kubelet}/volumes/kubernetes.io~projected/kube-api-access-x7k2p"
    return [
        *mounts,
        _bind("/etc/hostname", f"{sandbox}/hostname"),
        _bind("/etc/hosts", f"{kubelet}/etc-hosts"),
        _bind("/dev/termination-log", f"{kubelet}/containers/{container.name}/0a1b2c3d"),
        _bind("/var/run/secrets/kubernetes.io/serviceaccount", token, "ro"),
        *(_bind(place, pod.source(name)) for name, place in container.volumes),
    ]


def _annotations(pod: Pod, container: Container) -> dict[str, str]:
    sandbox = container == pod.sandbox
    own = (
        {"container-type": "sandbox"}
        if sandbox
        else {"container-name": container.name, "container-type": "container", "image-name": container.image}
    )
    shared = {
        "sandbox-id": pod.sandbox.id, "sandbox-name": pod.name, "sandbox-namespace": pod.namespace,
        "sandbox-uid": pod.uid,
    }  # fmt: skip
    return {f"io.kubernetes.cri.{key}": value for key, value in (own | shared).items()}


def _namespaces(pod: Pod | None, container: Container) -> list[dict[str, str]]:
    kinds = ["pid", "ipc", "uts", "mount", "network"]
    if pod is not None and pod.host_pid:
        kinds.remove("pid")
    if pod is not None and pod.host_network:
        kinds = [kind for kind in kinds if kind not in ("network", "uts")]
    if pod is not None and not container.privileged:
        kinds.append("cgroup")
    return [{"type": kind} for kind in kinds]


def _capabilities(container: Container) -> tuple[str, ...]:
    return _CAPABILITIES + _MORE_CAPABILITIES if container.privileged else _CAPABILITIES


def config_json(pod: Pod | None, container: Container) -> dict[str, Any]:
    """The OCI runtime spec of a container; pod None: `ctr run` made it."""
    names = [f"CAP_{name}" for name in _capabilities(container)]
    environment = pods.environment(pod, container) if pod else [pods.PATH]
    spec: dict[str, Any] = {
        "ociVersion": "1.0.2-dev",
        "process": {
            "user": {"uid": container.uid, "gid": container.uid},
            "args": list(container.args),
            "env": environment,
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), names),
            **({} if container.privileged else {"noNewPrivileges": True}),
            "oomScoreAdj": 999,
        },
        "root": {"path": "rootfs"},
    }
    if pod is not None and container == pod.sandbox and not pod.host_network:
        spec["hostname"] = pod.name
    spec["mounts"] = _mounts(pod, container)
    if pod is not None:
        spec["annotations"] = _annotations(pod, container)
    path = "system.slice:runc:helper" if pod is None else f"{pod.slice.rsplit('/', 1)[1]}:cri-containerd:{container.id}"
    spec["linux"] = {
        "resources": {"devices": [{"allow": container.privileged, "access": "rwm"}], "cpu": {"shares": 2}},
        "cgroupsPath": path,
        "namespaces": _namespaces(pod, container),
        **({} if container.privileged else {"maskedPaths": _MASKED, "readonlyPaths": ["/proc/sys", "/proc/bus"]}),
    }
    return spec


def state_json(pod: Pod | None, container: Container) -> str:
    """runc's state of a running container; @PID@ and @START@ stand for its first process and when that started."""
    spec = config_json(pod, container)
    cgroup = HELPER_CGROUP if pod is None else pod.cgroup(container)
    labels = [f"{key}={value}" for key, value in spec.get("annotations", {}).items()]
    kinds = {"mount": "NEWNS", "network": "NEWNET"}
    state = {
        "id": container.id, "init_process_pid": "@PID@", "init_process_start": "@START@", "created": pods.STARTED,
        "config": {
            "no_pivot_root": False, "parent_death_signal": 0, "rootfs": f"{_BUNDLE}{container.id}/rootfs",
            "readonlyfs": False, "hostname": spec.get("hostname", ""),
            "namespaces": [
                {"type": kinds.get(one["type"], f"NEW{one['type'].upper()}"), "path": ""}
                for one in spec["linux"]["namespaces"]
            ],
            "cgroups": {"name": container.id, "parent": cgroup.rsplit("/", 1)[0], "path": "", "Systemd": True},
            "no_new_privileges": not container.privileged, "version": "1.0.2-dev",
            "labels": [*labels, f"bundle={_BUNDLE}{container.id}"],
        },
        "rootless": False, "cgroup_paths": {"": f"/sys/fs/cgroup/{cgroup}"},
        "namespace_paths": {
            f"NEW{kind}": f"/proc/@PID@/ns/{file}"
            for kind, file in (("CGROUP", "cgroup"), ("IPC", "ipc"), ("NET", "net"), ("NS", "mnt"), ("PID", "pid"),
                               ("USER", "user"), ("UTS", "uts"))
        },
        "external_descriptors": ["/dev/null"] * 3, "intel_rdt_path": "",
    }  # fmt: skip
    return json.dumps(state, separators=(",", ":")).replace('"@PID@"', "@PID@").replace('"@START@"', "@START@")


def token(pod: Pod) -> str:
    """A service account token in form; its signature is no key's."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()

    body = {
        "aud": ["https://kubernetes.default.svc"], "exp": 1795255087, "iat": 1763719087,
        "iss": "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
        "kubernetes.io": {
            "namespace": pod.namespace, "node": {"name": NODE, "uid": "99999999-0000-4000-8000-0123456789ab"},
            "pod": {"name": pod.name, "uid": pod.uid},
            "serviceaccount": {"name": pod.service_account, "uid": "99999999-1111-4000-8000-0123456789ab"},
        },
        "sub": f"system:serviceaccount:{pod.namespace}:{pod.service_account}",
    }  # fmt: skip
    signature = base64.urlsafe_b64encode(b"not signed by anybody " * 12)[:342].decode()
    return f"{part({'alg': 'RS256', 'kid': 'd41d8cd98f00b204e9800998ecf8427e4649b934'})}.{part(body)}.{signature}"


def api_pod(pod: Pod) -> dict[str, Any]:
    """A pod as the API has it."""
    metadata: dict[str, Any] = {
        "creationTimestamp": pods.CREATED, "labels": pod.labels, "name": pod.name, "namespace": pod.namespace,
        "uid": pod.uid,
    }  # fmt: skip
    if pod.owner:
        kind, name = pod.owner
        version = {"Job": "batch/v1"}.get(kind, "apps/v1")
        metadata["ownerReferences"] = [
            {"apiVersion": version, "controller": True, "kind": kind, "name": name, "uid": pod.uid[::-1]}
        ]
    requests = {"resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}} if pod.qos == "Burstable" else {}
    running = {"running": {"startedAt": pods.STARTED}}
    times = {"startedAt": pods.STARTED, "finishedAt": pods.STARTED}
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", **times}}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": {
            "containers": [
                {
                    "name": one.name, "image": one.image, "command": list(one.args), **requests,
                    **({"securityContext": {"privileged": True}} if one.privileged else {}), **_volume_mounts(one),
                }
                for one in pod.containers
            ],
            "nodeName": NODE, "serviceAccountName": pod.service_account, **_volumes(pod),
            **({"hostNetwork": True} if pod.host_network else {}), **({"hostPID": True} if pod.host_pid else {}),
        },
        "status": {
            "containerStatuses": [
                {
                    "containerID": f"containerd://{one.id}", "image": one.image, "name": one.name,
                    "ready": not pod.ended, "restartCount": 0, "state": ended if pod.ended else running,
                }
                for one in pod.containers
            ],
            "hostIP": NODE_IP, "phase": "Succeeded" if pod.ended else "Running", "podIP": pod.ip,
            "podIPs": [{"ip": pod.ip}], "qosClass": pod.qos, "startTime": pods.CREATED,
        },
    }  # fmt: skip


def _volume_name(volume: str) -> str:
    return f"host{volume.replace('/', '-').rstrip('-')}" if volume.startswith("/") else volume


def _volume_mounts(container: Container) -> dict[str, Any]:
    mounts = [{"name": _volume_name(name), "mountPath": place} for name, place in container.volumes]
    return {"volumeMounts": mounts} if mounts else {}


def _volumes(pod: Pod) -> dict[str, Any]:
    names = {name for container in pod.containers for name, _ in container.volumes}
    listed = [
        {"name": _volume_name(name), **({"hostPath": {"path": name}} if name.startswith("/") else {"emptyDir": {}})}
        for name in sorted(names)
    ]
    return {"volumes": listed} if listed else {}


def pods_json() -> dict[str, Any]:
    """`kubectl get pods -A -o json`."""
    return {"apiVersion": "v1", "items": [api_pod(pod) for pod in pods.PODS], "kind": "List", "metadata": {}}


def all_containers() -> list[tuple[Pod | None, Container]]:
    """Every container that containerd knows, with its pod."""
    known: list[tuple[Pod | None, Container]] = [
        (pod, container) for pod in pods.PODS for container in (pod.sandbox, *pod.containers)
    ]
    return [*known, (None, HELPER)]


def write_container(spec: Path, pod: Pod | None, container: Container) -> None:
    """spec/ID/: config.json, state.json (without its pid) and environment, as the guest's `enter` takes them."""
    own = spec / container.id
    own.mkdir()
    (own / "config.json").write_text(json.dumps(config_json(pod, container), separators=(",", ":")))
    (own / "state.json.in").write_text(state_json(pod, container))
    (own / "env").write_text("\n".join(pods.environment(pod, container) if pod else [pods.PATH]) + "\n")


def write_token(spec: Path, pod: Pod) -> None:
    """spec/UID/token: of the pod's service account."""
    (spec / pod.uid).mkdir()
    (spec / pod.uid / "token").write_text(token(pod))
