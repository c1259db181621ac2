# SPDX-License-Identifier: Apache-2.0
"""Every pod that memory or the API knows of. Facts are resolved from claims, its containers' among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memir.kube.apiobjects import ROLE
from memir.kube.cgroups import parse_cgroup
from memir.kube.claims import Claims, of_container, of_pod
from memir.kube.identity import Identity
from memir.kube.membership import Membership
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import ApiPod, ClusterSnapshot

if TYPE_CHECKING:
    from memir.kube.containers import Container


@dataclass(slots=True)
class Pod:
    """One row of the table `pods`; None is not known.

    deleted_at: ns since 1970 UTC at which the API was asked to delete it and its grace period ends.
    removed: the runtime has removed all its containers, and neither a process nor the API knows it; or all that is left
    of it is memory that is charged to its cgroup.
    """

    pod_uid: str
    pod_name: str | None = None
    namespace: str | None = None
    qos: str | None = None
    service_account: str | None = None
    iam_role: str | None = None
    host_network: bool | None = None
    node: str | None = None
    containers: int | None = 0
    processes: int = 0
    labels: list[str] | None = None
    owner: str | None = None
    phase: str | None = None
    deleted_at: int | None = None
    removed: bool = True
    seen_in: str = "ram"
    sources: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


_TEXTS = ("pod_name", "namespace", "qos", "service_account", "iam_role", "owner", "phase")
# What a pod's containers say of it too, as the witness that decided it for them.
_OF_CONTAINERS = ("pod_name", "namespace", "host_network")


def build_pods(
    containers: Mapping[str, Container],
    identities: list[Identity],
    known: Membership,
    files: RuntimeFiles,
    cluster: ClusterSnapshot | None,
    node: str | None,
    phases: Mapping[str, str] | None = None,
    deleted: Mapping[str, int] | None = None,
) -> dict[str, Pod]:
    """Pods by UID: those memory knows by a container or a cgroup, and the API's. cluster: of this node's pods alone.

    phases: as the kubelet last reported them, by UID. deleted: when those that are being deleted have to be gone, as
    the API server told the kubelet, in ns since 1970 UTC by UID.
    """
    claims = known.claims
    rows: dict[str, Pod] = {}
    for container in containers.values():
        if container.pod_uid is not None:
            _from_container(rows.setdefault(container.pod_uid, Pod(container.pod_uid)), container, files, claims)
    for path, parsed in known.ids.items():
        if parsed is not None and parsed.pod_uid:
            pod = rows.setdefault(parsed.pod_uid, Pod(parsed.pod_uid))
            pod.removed = False
            claims.add(of_pod(parsed.pod_uid), "qos", parsed.qos, "cgroup", path)
            if "cgroup" not in pod.sources:
                pod.sources.append("cgroup")
    for identity in identities:
        if identity.pod_uid:
            pod = rows.setdefault(identity.pod_uid, Pod(identity.pod_uid))
            pod.processes, pod.removed = pod.processes + 1, False
    _from_files(rows, files, claims)
    for uid in rows.keys() & (phases or {}).keys():
        claims.add(of_pod(uid), "phase", (phases or {})[uid], "status")
    for uid in rows.keys() & (deleted or {}).keys():
        claims.add(of_pod(uid), "deleted_at", (deleted or {})[uid], "watch")
    if cluster is not None:
        _from_api(rows, claims, cluster)
    for pod in rows.values():
        subject = of_pod(pod.pod_uid)
        for name in _TEXTS:
            setattr(pod, name, claims.text(subject, name))
        pod.host_network = claims.flag(subject, "host_network")
        pod.deleted_at = claims.number(subject, "deleted_at")
        pod.node = claims.text(subject, "node") or node
        pod.doubts = claims.doubts(subject)
    return dict(sorted(rows.items(), key=lambda item: (item[1].namespace or "~", item[1].pod_name or "~", item[0])))


def with_removed(pods: dict[str, Pod], cgroups: list[str], node: str | None) -> dict[str, Pod]:
    """Pods by UID, and those that nothing but removed cgroups (their paths) still names."""
    for path in cgroups:
        parsed = parse_cgroup(path)
        if parsed is not None and parsed.pod_uid and parsed.pod_uid not in pods:
            pods[parsed.pod_uid] = Pod(
                parsed.pod_uid, qos=parsed.qos, node=node, containers=None, sources=["removed cgroup"]
            )  # fmt: skip
    return pods


def _from_container(pod: Pod, container: Container, files: RuntimeFiles, claims: Claims) -> None:
    """Count a container, and take what it says of its pod."""
    subject, whose = of_pod(pod.pod_uid), of_container(container.container_id)
    spec = files.specs.get(container.container_id)
    if spec is not None and spec.cgroup is not None:
        claims.add(subject, "qos", spec.cgroup.qos, "spec", spec.where)
    for name in _OF_CONTAINERS:
        answer = claims.resolve(whose, name)
        if answer.value is not None and answer.witness is not None:
            told_by_sandbox = name == "host_network" and container.kind == "sandbox"
            claims.add(subject, name, answer.value, "sandbox" if told_by_sandbox else answer.witness, str(whose))
    if container.state != "removed":
        pod.removed = False
        if container.kind is None:
            pod.containers = None  # it may be the sandbox
        elif pod.containers is not None:
            pod.containers += container.kind != "sandbox"
    if container.seen_in != "api":
        kinds = (source.partition(" /")[0].partition(" meta.db")[0] for source in container.sources)
        pod.sources.extend(kind for kind in dict.fromkeys(kinds) if kind not in (*pod.sources, "API"))


def _from_files(rows: dict[str, Pod], files: RuntimeFiles, claims: Claims) -> None:
    """Service accounts by the tokens in the pods' volumes, IAM roles by what EKS's webhook put into specs."""
    for uid, where, token in files.tokens:
        if uid in rows and token.pod_uid in (None, uid):
            for name, value in (
                ("service_account", token.service_account), ("namespace", token.namespace),
                ("pod_name", token.pod_name),
            ):  # fmt: skip
                claims.add(of_pod(uid), name, value, "token", where)
    for spec in files.specs.values():
        role = next((line[len(ROLE) + 1 :] for line in spec.env or () if line.startswith(ROLE + "=")), None)
        if spec.pod_uid in rows and role:
            claims.add(of_pod(spec.pod_uid), "iam_role", role[:2048], "spec", spec.where)


def _from_api(rows: dict[str, Pod], claims: Claims, cluster: ClusterSnapshot) -> None:
    """What the API says of this node's pods."""
    for api in cluster.pods.values():
        uid = api.config_hash if api.config_hash in rows else api.uid
        if uid in rows:
            rows[uid].seen_in = "both" if any(source != "API" for source in rows[uid].sources) else "api"
        else:
            rows[uid] = Pod(uid, seen_in="api")
        rows[uid].removed = False
        _claim_api(rows[uid], api, claims)
        claims.add(of_pod(uid), "iam_role", api.iam_role or cluster.role_of(api), "API")


def _claim_api(pod: Pod, api: ApiPod, claims: Claims) -> None:
    for name, value in (
        ("pod_name", api.name), ("namespace", api.namespace), ("qos", api.qos),
        ("service_account", api.service_account), ("host_network", api.host_network), ("owner", api.owner),
        ("phase", api.phase), ("node", api.node),
        ("deleted_at", None if api.deleted_at is None else round(api.deleted_at.timestamp()) * 1_000_000_000),
    ):  # fmt: skip
        claims.add(of_pod(pod.pod_uid), name, value, "API")
    pod.labels = [f"{key}={value}" for key, value in sorted(api.labels.items())]
    pod.sources.append("API")
