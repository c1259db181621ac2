# SPDX-License-Identifier: Apache-2.0
"""Pods and nodes as the API server gives them (Kubernetes core/v1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from memir.kube.apifields import JsonObject

ContainerKind = Literal["container", "init", "sidecar", "ephemeral"]
State = Literal["running", "waiting", "terminated"]
Owners = Mapping[tuple[str, str, str], str]
"""(kind, namespace, name) of an object to `Kind/name` of its controller."""

# pkg/kubelet/types/pod_update.go of kubernetes/kubernetes: a static pod's mirror bears both.
CONFIG_HASH = "kubernetes.io/config.hash"
MIRROR = "kubernetes.io/config.mirror"
_CONTAINER_ID = re.compile(r"([a-z0-9.-]{1,64})://([0-9A-Za-z_.-]{1,128})")
MAX_OWNERS = 8
ROLE = "AWS_ROLE_ARN"

# The name of each list in a pod's spec, of its statuses, and what its containers are.
_LISTS: tuple[tuple[str, str, ContainerKind], ...] = (
    ("containers", "containerStatuses", "container"),
    ("initContainers", "initContainerStatuses", "init"),
    ("ephemeralContainers", "ephemeralContainerStatuses", "ephemeral"),
)


@dataclass(frozen=True, slots=True)
class ApiEnd:
    """How a container ended that was restarted since; container_id is None where the API has forgotten it."""

    container_id: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiContainer:
    """A container as the API knows it; what belongs to its status is None while it has none.

    container_id: without the `containerd://` before it, which is `runtime`.
    ids: every id that the API still knows of it, the present one first; a restart leaves the last one.
    ports: that the spec declares, `80/TCP`; None where there is no spec.
    image: as the spec asks for it. image_id: what ran. last: how the container before a restart ended.
    """

    name: str
    kind: ContainerKind
    container_id: str | None = None
    ids: tuple[str, ...] = ()
    runtime: str | None = None
    image: str | None = None
    image_id: str | None = None
    privileged: bool = False
    state: State | None = None
    reason: str | None = None
    exit_code: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    restarts: int = 0
    last: ApiEnd | None = None
    ports: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ApiPod:
    """A pod as the API knows it.

    uid: the API's. config_hash: of a static pod, whose cgroup, mounts and OCI spec bear it instead.
    iam_role: ARN, of IAM roles for service accounts.
    owner: `Kind/name` of the controller. workload: the controller at the end of the chain, as far as the
        objects given tell (Deployment/api above ReplicaSet/api-7d4b9c6f5).
    """

    uid: str
    name: str
    namespace: str
    node: str | None = None
    config_hash: str | None = None
    qos: str | None = None
    service_account: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    owner: str | None = None
    workload: str | None = None
    phase: str | None = None
    created_at: datetime | None = None
    deleted_at: datetime | None = None
    started_at: datetime | None = None
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    share_process_namespace: bool = False
    runtime_class: str | None = None
    pod_ips: tuple[str, ...] = ()
    host_ip: str | None = None
    iam_role: str | None = None
    containers: tuple[ApiContainer, ...] = ()


@dataclass(frozen=True, slots=True)
class ApiNode:
    """A node; instance_id is the cloud's: `i-0abc...` of `aws:///<zone>/i-0abc...`."""

    name: str
    uid: str | None = None
    provider_id: str | None = None
    instance_id: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    kernel: str | None = None
    runtime: str | None = None
    kubelet: str | None = None
    boot_id: str | None = None
    machine_id: str | None = None
    system_uuid: str | None = None


def pod_of(item: JsonObject, owners: Owners, odd: list[tuple[str, str]] | None = None) -> ApiPod:
    """Read a Pod; raises ClusterError with its place where a member is not as the API writes it.

    odd: gets (place, why) of container ids that are none; the pod is kept without them.
    """
    odd = [] if odd is None else odd
    meta, spec, status = item.object("metadata"), item.object("spec"), item.object("status")
    annotations = meta.texts("annotations")
    namespace = meta.needed("namespace")
    owner = controller_of(item)
    ips = [ip for part in status.objects("podIPs") if (ip := part.text("ip"))]
    return ApiPod(
        uid=meta.needed("uid"),
        name=meta.needed("name"),
        namespace=namespace,
        node=spec.text("nodeName"),
        config_hash=annotations.get(CONFIG_HASH) or annotations.get(MIRROR) or None,
        qos=status.text("qosClass"),
        service_account=spec.text("serviceAccountName"),
        labels=meta.texts("labels"),
        annotations=annotations,
        owner=owner,
        workload=_end_of_chain(owner, namespace, owners),
        phase=status.text("phase"),
        created_at=meta.moment("creationTimestamp"),
        deleted_at=meta.moment("deletionTimestamp"),
        started_at=status.moment("startTime"),
        host_network=spec.flag("hostNetwork"),
        host_pid=spec.flag("hostPID"),
        host_ipc=spec.flag("hostIPC"),
        share_process_namespace=spec.flag("shareProcessNamespace"),
        runtime_class=spec.text("runtimeClassName"),
        pod_ips=tuple(ips or filter(None, [status.text("podIP")])),
        host_ip=status.text("hostIP"),
        iam_role=_iam_role(spec),
        containers=tuple(part for names in _LISTS for part in _containers(spec, status, *names, odd)),
    )


def _iam_role(spec: JsonObject) -> str | None:
    """The role that EKS's webhook wrote into the containers' environment (IAM roles for service accounts)."""
    entries = (
        entry
        for kind in ("containers", "initContainers")
        for container in spec.objects(kind)
        for entry in container.objects("env")
    )
    return next((role for entry in entries if entry.text("name") == ROLE and (role := entry.text("value"))), None)


def node_of(item: JsonObject) -> ApiNode:
    """Read a Node."""
    meta, spec, info = item.object("metadata"), item.object("spec"), item.object("status").object("nodeInfo")
    provider_id = spec.text("providerID")
    addresses = [text for address in item.object("status").objects("addresses") if (text := address.text("address"))]
    return ApiNode(
        name=meta.needed("name"),
        uid=meta.text("uid"),
        provider_id=provider_id,
        instance_id=provider_id.rpartition("/")[2] or None if provider_id else None,
        labels=meta.texts("labels"),
        addresses=tuple(addresses),
        kernel=info.text("kernelVersion"),
        runtime=info.text("containerRuntimeVersion"),
        kubelet=info.text("kubeletVersion"),
        boot_id=info.text("bootID"),
        machine_id=info.text("machineID"),
        system_uuid=info.text("systemUUID"),
    )


def controller_of(item: JsonObject) -> str | None:
    """`Kind/name` of the object's controller, of its owners the one that manages it."""
    for owner in item.object("metadata").objects("ownerReferences"):
        if owner.flag("controller"):
            return f"{owner.needed('kind')}/{owner.needed('name')}"
    return None


def _end_of_chain(owner: str | None, namespace: str, owners: Owners) -> str | None:
    for _ in range(MAX_OWNERS):
        kind, _, name = (owner or "").partition("/")
        above = owners.get((kind, namespace, name))
        if above is None or above == owner:
            break
        owner = above
    return owner


def _containers(
    spec: JsonObject, status: JsonObject, in_spec: str, in_status: str, kind: ContainerKind, odd: list[tuple[str, str]]
) -> list[ApiContainer]:
    statuses = {container.needed("name"): container for container in status.objects(in_status)}
    specs = {container.needed("name"): container for container in spec.objects(in_spec)}
    names = dict.fromkeys([*specs, *statuses])
    return [_container(name, kind, specs.get(name), statuses.get(name), odd) for name in names]


def _container(
    name: str, kind: ContainerKind, spec: JsonObject | None, status: JsonObject | None, odd: list[tuple[str, str]]
) -> ApiContainer:
    spec, status = spec or JsonObject({}, ""), status or JsonObject({}, "")
    if kind == "init" and spec.text("restartPolicy") == "Always":
        kind = "sidecar"  # KEP-753: an init container that runs on beside the others
    state, what = _state(status.object("state"))
    last = status.object("lastState").object("terminated")
    idents = [_id(status, odd), _id(what, odd), _id(last, odd)]
    ids = tuple(dict.fromkeys(ident for known in idents if known for ident in [known[1]]))
    return ApiContainer(
        name=name,
        kind=kind,
        container_id=idents[0][1] if idents[0] else None,
        ids=ids,
        runtime=next((known[0] for known in idents if known), None),
        image=spec.text("image") or status.text("image"),
        image_id=status.text("imageID"),
        privileged=spec.object("securityContext").flag("privileged"),
        state=state,
        reason=what.text("reason"),
        exit_code=what.number("exitCode"),
        started_at=what.moment("startedAt"),
        finished_at=what.moment("finishedAt"),
        restarts=status.number("restartCount") or 0,
        last=_end(last, idents[2]) if last.value else None,
        ports=_ports(spec) if spec.value else None,
    )


def _ports(spec: JsonObject) -> tuple[str, ...]:
    listed = [(port.number("containerPort"), port.text("protocol") or "TCP") for port in spec.objects("ports")]
    return tuple(f"{number}/{protocol}" for number, protocol in listed if number is not None)


def _end(last: JsonObject, ident: tuple[str, str] | None) -> ApiEnd:
    return ApiEnd(
        ident[1] if ident else None,
        last.number("exitCode"),
        last.text("reason"),
        last.moment("startedAt"),
        last.moment("finishedAt"),
    )


def _state(state: JsonObject) -> tuple[State | None, JsonObject]:
    kinds: tuple[State, ...] = ("running", "waiting", "terminated")
    for kind in kinds:
        if state.value.get(kind) is not None:
            return kind, state.object(kind)
    return None, JsonObject({}, state.where)


def _id(status: JsonObject, odd: list[tuple[str, str]]) -> tuple[str, str] | None:
    """(runtime, id) of `containerd://<id>`."""
    text = status.text("containerID")
    if text is None:
        return None
    match = _CONTAINER_ID.fullmatch(text)
    if match is None:
        odd.append((status.place("containerID"), f"{text[:80]!r} is not <runtime>://<id>"))
        return None
    return match.group(1), match.group(2)
