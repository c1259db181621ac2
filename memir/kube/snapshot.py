# SPDX-License-Identifier: Apache-2.0
"""The API server's view of a cluster: `kubectl get ... -o json`, saved to files.

`kubectl get pods -A -o json > pods.json` is enough. Other files in the same folder (nodes, Deployments) add instance
ids and the workloads above the pods' owners.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from memir.errors import ClusterError
from memir.kube.account_role import role_of_account
from memir.kube.apifields import JsonObject, wrong_type
from memir.kube.apiobjects import ApiContainer, ApiNode, ApiPod, controller_of, node_of, pod_of
from memir.kube.clusterfiles import cluster_files, documents

__all__ = ["ApiContainer", "ApiNode", "ApiPod", "ClusterSnapshot", "load_cluster", "load_objects"]


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """Everything read from the files.

    pods: by UID. containers: by container id, with their pod; the last id before a restart is there too.
    objects: everything else, by (kind, namespace, name), the JSON as it was.
    files: what was read. skipped: (place, why) of what in them is not as the API writes it, and of files that hold no
        Kubernetes objects.
    """

    pods: dict[str, ApiPod]
    containers: dict[str, tuple[ApiPod, ApiContainer]]
    nodes: dict[str, ApiNode]
    objects: dict[tuple[str, str, str], dict[str, Any]]
    files: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    by_hash: dict[str, ApiPod] = field(default_factory=dict)

    def pod(self, uid: str) -> ApiPod | None:
        """The pod with this UID, or the static pod whose configuration's hash stands for it on its node."""
        return self.pods.get(uid) or self.by_hash.get(uid)

    def pods_on(self, node: str) -> list[ApiPod]:
        """The pods that the API places on a node, ended ones too."""
        return [pod for pod in self.pods.values() if pod.node == node]

    def role_of(self, pod: ApiPod) -> str | None:
        """The IAM role of a pod's service account, by that object's annotation or a pod identity association."""
        return role_of_account(self.objects, pod.namespace, pod.service_account or "")

    def only(self, uids: Collection[str]) -> ClusterSnapshot:
        """The snapshot with these pods alone; nodes and other objects stay."""
        pods = {uid: pod for uid, pod in self.pods.items() if uid in uids}
        containers = {ident: pair for ident, pair in self.containers.items() if pair[0].uid in uids}
        by_hash = {pod.config_hash: pod for pod in pods.values() if pod.config_hash}
        return replace(self, pods=pods, containers=containers, by_hash=by_hash)

    def node_of_instance(self, instance_id: str) -> ApiNode | None:
        """The node that is this cloud instance."""
        return next((node for node in self.nodes.values() if node.instance_id == instance_id), None)


def load_cluster(source: Path | str) -> ClusterSnapshot:
    """Read a file, or every JSON and YAML file in a folder and below it (memir.kube.clusterfiles says in which shapes).

    An item that is not as the API writes it, one UID on two pods, a file of a folder that cannot be read: each is in
    `skipped`, with file and place. ClusterError, with the same, if that leaves no pods at all.
    """
    return load_objects(source)[0]


def load_objects(source: Path | str) -> tuple[ClusterSnapshot, list[dict[str, Any]]]:
    """What load_cluster gives, and every object as its JSON was, pods too; an item's kind is filled in."""
    path = Path(source)
    single = not path.is_dir()
    items: list[JsonObject] = []
    files: list[str] = []
    skipped: list[tuple[str, str]] = []
    for file in cluster_files(path):
        try:
            values, odd = documents(file)
        except ClusterError as error:
            if single:
                raise
            skipped.append(_place(error))
            continue
        skipped += odd
        notes = [words for _, value in values for words in _unread(value)]
        skipped += [(str(file), words) for words in notes]
        objects = [objects for place, value in values for objects in _objects(value, f"{file}: {place}", skipped)]
        if objects:
            files.append(str(file))
            items += objects
        elif not odd and not notes:
            skipped.append((str(file), "no Kubernetes objects"))
    snapshot = _assemble(items, tuple(files), skipped)
    if not snapshot.pods:
        reasons = [f"{place}: {why}" for place, why in skipped if why != "no Kubernetes objects"]
        first = f" (first of {len(reasons)} odd things: {reasons[0]})" if reasons else ""
        raise ClusterError(f"{path}: no pods in it; save `kubectl get pods -A -o json` as pods.json{first}")
    return snapshot, [item.value for item in items]


def _place(error: ClusterError) -> tuple[str, str]:
    """(place, why) of an error that names the place first."""
    place, _, why = str(error).rpartition(": ")
    return (place, why) if place else ("", why)


def _unread(value: Any) -> list[str]:
    """What snapshot.json of `memir snapshot` notes as denied or cut."""
    if not isinstance(value, dict) or not {"server", "taken", "unread"} <= set(value):
        return []
    entries = value["unread"] if isinstance(value["unread"], list) else []
    known = [entry for entry in entries if isinstance(entry, dict)]
    return [f"{entry.get('resource')} was not read from the API: {entry.get('why')}"[:500] for entry in known]


_MAX_LISTS = 4  # lists inside lists, as scripts that join answers make them


def _objects(value: Any, where: str, skipped: list[tuple[str, str]], depth: int = 0) -> list[JsonObject]:
    """The objects of a List or a plain list, or the one object; none if it is none of these."""
    if isinstance(value, list):
        kinds = [item for item in value if isinstance(item, dict) and isinstance(item.get("kind"), str)]
        objects = [number for number, item in enumerate(value) if kinds and isinstance(item, dict)]
        others = [(number, item) for number, item in enumerate(value) if kinds and not isinstance(item, dict)]
        skipped += [_place(wrong_type(f"{where}[{number}]", item, "an object")) for number, item in others]
        return [inner for number in objects for inner in _objects(value[number], f"{where}[{number}]", skipped)]
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return []
    kind, top = value["kind"], JsonObject(value, where)
    if kind == "Status":
        skipped.append((where, f"the API server's refusal, no object: {value.get('message') or value.get('reason')}"))
        return []
    if not kind.endswith("List"):
        return [top]
    # A PodList, from `kubectl get --raw`, leaves out what its items are.
    named = {"kind": kind.removesuffix("List")} if kind != "List" else {}
    members = value.get("items")
    if not isinstance(members, list):
        if members is not None:
            skipped.append(_place(wrong_type(top.place("items"), members, "a list")))
        return []
    listed: list[JsonObject] = []
    for number, item in enumerate(members):
        place = f"{top.place('items')}[{number}]"
        if isinstance(item, dict) and isinstance(item.get("items"), list) and depth < _MAX_LISTS:
            listed += _objects(item, place, skipped, depth + 1)
        elif isinstance(item, dict):
            listed.append(JsonObject(named | item, place))
        else:
            skipped.append(_place(wrong_type(place, item, "an object")))
    return listed


def _assemble(items: list[JsonObject], files: tuple[str, ...], skipped: list[tuple[str, str]]) -> ClusterSnapshot:
    """Put objects in their places; each that is not as the API writes it goes to `skipped`."""
    pods: list[JsonObject] = []
    nodes: dict[str, ApiNode] = {}
    objects: dict[tuple[str, str, str], dict[str, Any]] = {}
    owners: dict[tuple[str, str, str], str] = {}
    for item in items:
        try:
            kind, meta = item.needed("kind"), item.object("metadata")
            if kind == "Pod":
                pods.append(item)
                continue
            key = (kind, meta.text("namespace") or "", meta.text("name") or "")
            objects[key] = item.value
            if kind == "Node":
                node = node_of(item)
                nodes[node.name] = node
            elif controller := controller_of(item):
                owners[key] = controller
        except ClusterError as error:
            skipped.append(_place(error))
    by_uid: dict[str, ApiPod] = {}
    for item in pods:
        try:
            pod = pod_of(item, owners, skipped)
        except ClusterError as error:
            skipped.append(_place(error))
            continue
        known = by_uid.setdefault(pod.uid, pod)
        if (known.namespace, known.name) != (pod.namespace, pod.name):
            place = item.object("metadata").place("uid")
            skipped.append((place, f"{pod.uid} is the uid of {known.namespace}/{known.name} too"))
            continue
        by_uid[pod.uid] = pod
    # Past ids first, so that an id in use belongs to its present container.
    pairs = [(pod, container) for pod in by_uid.values() for container in pod.containers]
    containers = {ident: pair for pair in pairs for ident in pair[1].ids[1:]}
    containers |= {pair[1].ids[0]: pair for pair in pairs if pair[1].ids}
    by_hash = {pod.config_hash: pod for pod in by_uid.values() if pod.config_hash}
    return ClusterSnapshot(by_uid, containers, nodes, objects, files, tuple(skipped), by_hash)
