# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API's view at the time of the capture, as `memir analyze --cluster FOLDER` reads it.

Written: pods.json and cluster.json (a `List` each, as `kubectl get -o json`), and snapshot.json: who asked
which server when, how many objects of each kind, and each resource that could not be read and why. Secrets'
values never leave the server: it is asked for their metadata alone, and kubectl's copy in their annotations
is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from memir.errors import AccessError, ConnectError, RemoteError, StorageError
from memir.kubeapi.client import Api, KubeOptions, call_json, calling, get_json, make_api, pages, reason_of, status_of

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind to read, from all namespaces. metadata: names and labels only. named: that one object alone."""

    path: str
    kind: str
    metadata: bool = False
    named: str = ""

    @property
    def api_version(self) -> str:
        """apiVersion of the objects."""
        return self.path.removeprefix("/apis/").removeprefix("/api/").partition("/namespaces/")[0].removesuffix(
            f"/{self.plural}"
        )

    @property
    def plural(self) -> str:
        """Name of the resource in RBAC."""
        return self.path.rpartition("/")[2]


PODS = Resource("/api/v1/pods", "Pod")
RESOURCES = (
    Resource("/api/v1/nodes", "Node"),
    Resource("/api/v1/namespaces", "Namespace"),
    Resource("/api/v1/serviceaccounts", "ServiceAccount"),
    Resource("/api/v1/services", "Service"),
    Resource("/api/v1/events", "Event"),
    Resource("/api/v1/secrets", "Secret", metadata=True),
    Resource("/apis/apps/v1/deployments", "Deployment"),
    Resource("/apis/apps/v1/replicasets", "ReplicaSet"),
    Resource("/apis/apps/v1/daemonsets", "DaemonSet"),
    Resource("/apis/apps/v1/statefulsets", "StatefulSet"),
    Resource("/apis/batch/v1/jobs", "Job"),
    Resource("/apis/batch/v1/cronjobs", "CronJob"),
    Resource("/apis/networking.k8s.io/v1/networkpolicies", "NetworkPolicy"),
    Resource("/apis/autoscaling/v2/horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    Resource("/apis/policy/v1/poddisruptionbudgets", "PodDisruptionBudget"),
    Resource("/apis/karpenter.sh/v1/nodeclaims", "NodeClaim"),
    Resource("/apis/rbac.authorization.k8s.io/v1/roles", "Role"),
    Resource("/apis/rbac.authorization.k8s.io/v1/rolebindings", "RoleBinding"),
    Resource("/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRole"),
    Resource("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "ClusterRoleBinding"),
)


@dataclass(frozen=True, slots=True)
class Unread:
    """A resource that is not, or not wholly, in the snapshot. read: objects that came before."""

    resource: str
    why: str
    denied: bool
    read: int = 0


@dataclass
class Notes:
    """snapshot.json."""

    server: str
    taken: str
    user: str = ""
    version: str = ""
    finished: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)


def snapshot(folder: Path, options: KubeOptions | None = None, api: Api = None) -> Sequence[Path]:
    """Write the three files; their paths.

    What is denied or cut is noted and the rest is kept. Raises AccessError when the credentials are refused
    or every resource is denied, ConnectError when the server does not answer at all, StorageError when the
    folder cannot be written.
    """
    api = api if api is not None else make_api(options or KubeOptions())
    notes = Notes(server=str(api.configuration.host), taken=now())
    notes.version, notes.user = ask_server(api, notes.server), ask_user(api)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / "pods.json", folder / "cluster.json", folder / "snapshot.json"]
        write_list(paths[0], api, (PODS,), notes)
        write_list(paths[1], api, RESOURCES, notes)
        if not notes.counts:
            raise AccessError(f"{notes.server}: nothing could be read: {notes.unread[0].why}")
        notes.finished = now()
        paths[2].write_text(json.dumps(asdict(notes), indent=1) + "\n")
    except OSError as error:
        raise StorageError(f"{folder}: the cluster's snapshot cannot be written: {error}") from error
    return paths


def now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def ask_server(api: Api, server: str) -> str:
    """The server's version. Raises ConnectError, AccessError."""
    try:
        with calling("get version", server):
            return str(get_json(api, "/version", {}).get("gitVersion", ""))
    except RemoteError as error:
        if isinstance(error, ConnectError) or status_of(error) == 401:
            raise
        return ""


def ask_user(api: Api) -> str:
    """Who the server thinks is asking, "" where it does not say."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        with calling("create selfsubjectreviews", "the API server"):
            answer = call_json(api, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    except RemoteError:
        return ""
    status = answer.get("status")
    user = status.get("userInfo") if isinstance(status, dict) else None
    return str(user.get("username", "")) if isinstance(user, dict) else ""


def write_list(path: Path, api: Api, resources: Sequence[Resource], notes: Notes) -> None:
    """One `List` file, a page in memory at a time; it appears under its name when it is whole."""
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w") as out:
        out.write('{"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":""},"items":[')
        written = 0
        for resource in resources:
            written += write_items(out, api, resource, notes, first=written == 0)
        out.write("\n]}\n")
    unfinished.rename(path)


def write_items(out: TextIO, api: Api, resource: Resource, notes: Notes, *, first: bool) -> int:
    """Every object of one kind; how many."""
    count = 0
    try:
        with calling(f"list {resource.plural}", notes.server):
            for page in _pages(api, resource):
                for item in page:
                    out.write("\n" if first and not count else ",\n")
                    json.dump(cleaned(item, resource), out, separators=(",", ":"), ensure_ascii=True)
                    count += 1
    except RemoteError as error:
        status = status_of(error)
        if status == 401:
            raise
        if status == 404 and not count:
            # an API group that this cluster does not have has no objects
            return 0
        why = f"{status}: {reason_of(error)}" if status else f"not received whole: {error}"
        notes.unread.append(Unread(resource.plural, why, status == 403, count))
    if count or not any(unread.resource == resource.plural for unread in notes.unread):
        notes.counts[resource.plural] = count
    return count


def _pages(api: Api, resource: Resource) -> Iterable[Sequence[dict[str, Any]]]:
    if resource.named:
        return [[get_json(api, f"{resource.path}/{resource.named}", {})]]
    return pages(api, resource.path, METADATA if resource.metadata else JSON)


def cleaned(item: dict[str, Any], resource: Resource) -> dict[str, Any]:
    """The object with its kind, without bulk that says nothing, and a secret without any value."""
    meta = item.get("metadata")
    meta = dict(meta) if isinstance(meta, dict) else {}
    meta.pop("managedFields", None)
    if resource.metadata:
        annotations = meta.get("annotations")
        if isinstance(annotations, dict):
            meta["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
        # a server too old for metadata alone sends everything: the values stop here
        return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta}
    return item | {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta}
