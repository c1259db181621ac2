# SPDX-License-Identifier: Apache-2.0
"""What each document says of a container, as claims: spec, sandbox's spec, runtime state, containerd, kubelet, API."""

from __future__ import annotations

from datetime import datetime

from memir.kube.apiobjects import ApiContainer, ApiEnd, ApiPod
from memir.kube.claims import Claims, Subject, Value, of_container
from memir.kube.containerd import Registered
from memir.kube.cri_status import CriStatus
from memir.kube.kubelet import ContainerStatus
from memir.kube.oci import OciSpec
from memir.kube.runc import RuntimeState


def claim_spec(subject: Subject, spec: OciSpec, claims: Claims) -> None:
    """The container's own OCI spec."""
    for name, value in (
        ("kind", spec.kind), ("container_name", spec.container_name), ("image", spec.image), ("pod_uid", spec.pod_uid),
        ("pod_name", spec.pod_name), ("namespace", spec.namespace), ("runtime", spec.engine),
        ("sandbox_id", spec.sandbox_id), ("host_pid", spec.host_pid), ("host_network", spec.host_network),
        ("host_users", spec.host_users), ("rootfs", spec.rootfs),
    ):  # fmt: skip
        claims.add(subject, name, value, "spec", spec.where)


def claim_registered(subject: Subject, known: Registered, claims: Claims) -> None:
    """containerd's own record of it."""
    for name, value in (
        ("kind", known.kind), ("container_name", known.container_name), ("image", known.image),
        ("pod_uid", known.pod_uid), ("pod_name", known.pod_name), ("namespace", known.pod_namespace),
        ("sandbox_id", known.sandbox_id), ("containerd_namespace", known.namespace), ("restarts", known.attempt),
    ):  # fmt: skip
        claims.add(subject, name, value, "metadata")


def claim_sandbox(subject: Subject, spec: OciSpec, sandbox: OciSpec, claims: Claims) -> None:
    """What the sandbox's spec says for all containers of its pod.

    Of the namespaces only those that the container joined: where its own spec tells, the sandbox does not.
    """
    for name in ("pod_uid", "pod_name", "namespace"):
        claims.add(subject, name, getattr(sandbox, name), "sandbox", sandbox.where)
    for name in ("host_pid", "host_network", "host_users"):
        if getattr(spec, name) is None:
            claims.add(subject, name, getattr(sandbox, name), "sandbox", sandbox.where)


def claim_state(subject: Subject, state: RuntimeState, claims: Claims) -> None:
    """The runtime's state, whose labels are the spec's annotations."""
    names = state.names
    for name, value in (
        ("kind", names.kind), ("container_name", names.container_name), ("pod_uid", names.pod_uid),
        ("pod_name", names.pod_name), ("namespace", names.namespace), ("image", names.image),
        ("runtime", names.engine), ("sandbox_id", names.sandbox_id),
    ):  # fmt: skip
        claims.add(subject, name, value, "state", state.where)


def claim_status(status: ContainerStatus, claims: Claims) -> None:
    """What the kubelet last reported of it."""
    for name, value in (
        ("kind", status.kind), ("container_name", status.name), ("image", status.image),
        ("exit_code", status.exit_code), ("reason", status.reason), ("restarts", status.restarts),
        ("started_at", status.started_at), ("finished_at", status.finished_at),
    ):  # fmt: skip
        claims.add(of_container(status.container_id), name, value, "status")


def claim_cri(status: CriStatus, claims: Claims) -> None:
    """What containerd's CRI plugin wrote of its start and end."""
    for name, value in (
        ("exit_code", status.exit_code), ("reason", status.reason), ("started_at", status.started_at),
        ("finished_at", status.finished_at),
    ):  # fmt: skip
        claims.add(of_container(status.container_id), name, value, "cri", status.where)


def claim_api(container: str, pod: ApiPod, api: ApiContainer, claims: Claims) -> None:
    """What the API says of a container id: the present one of the pod's container, or the one before a restart."""
    for name, value in (
        ("kind", api.kind), ("container_name", api.name), ("pod_uid", pod.config_hash or pod.uid),
        ("pod_name", pod.name), ("namespace", pod.namespace), ("image", api.image), ("runtime", api.runtime),
        *_ending(container, api),
    ):  # fmt: skip
        claims.add(of_container(container), name, value, "API")


def _ending(container: str, api: ApiContainer) -> list[tuple[str, Value | None]]:
    """When a container of the API began and how it ended: the present one, or the one before a restart."""
    end: ApiContainer | ApiEnd | None = api if container == api.container_id or api.last is None else api.last
    if end is None or (end is api and container != api.container_id):
        return []
    return [
        ("exit_code", end.exit_code), ("reason", end.reason), ("started_at", _ns(end.started_at)),
        ("finished_at", _ns(end.finished_at)), ("restarts", api.restarts if end is api else max(api.restarts - 1, 0)),
    ]  # fmt: skip


def _ns(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1_000_000) * 1000
