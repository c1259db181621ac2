"""The API server's view of a cluster: `kubectl get ... -o json`, saved to files.

`kubectl get pods -A -o json > pods.json` is enough. Other JSON files in the same folder (nodes, Deployments;
one object or a List each) add instance ids and the workloads above the pods' owners.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memir.errors import ClusterError
from memir.kube.apifields import At
from memir.kube.apiobjects import ApiContainer, ApiNode, ApiPod, controller_of, node_of, pod_of
from memir.kube.tornjson import without_lone_surrogates

__all__ = ["ApiContainer", "ApiNode", "ApiPod", "ClusterSnapshot", "load_cluster"]

MAX_FILE = 1 << 30


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """Everything read from the files.

    pods: by UID. containers: by container id, with their pod; the last id before a restart is there too.
    objects: everything else, by (kind, namespace, name), the JSON as it was.
    files: what was read. skipped: (file, why) of JSON files that hold no Kubernetes objects.
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

    def node_of_instance(self, instance_id: str) -> ApiNode | None:
        """The node that is this cloud instance."""
        return next((node for node in self.nodes.values() if node.instance_id == instance_id), None)


def load_cluster(source: Path | str) -> ClusterSnapshot:
    """Read a file, or every *.json file in a folder.

    Raises ClusterError, with the file and the place in it, for what is missing, unreadable or not JSON, for a
    pod or node that is not as the API writes it, for one UID on two pods, and if there are no pods at all.
    """
    path = Path(source)
    single = not path.is_dir()
    items: list[At] = []
    files: list[str] = []
    skipped: list[tuple[str, str]] = []
    for file in [path] if single else sorted(path.glob("*.json")):
        found = _objects(_read(file), f"{file}: ")
        if found is None:
            skipped.append((str(file), "no Kubernetes objects"))
        else:
            files.append(str(file))
            items += found
    snapshot = _assemble(items, tuple(files), tuple(skipped))
    if not snapshot.pods:
        raise ClusterError(f"{path}: no pods in it; save `kubectl get pods -A -o json` as pods.json")
    return snapshot


def _read(file: Path) -> Any:
    try:
        size = file.stat().st_size
        if size > MAX_FILE:
            raise ClusterError(f"{file}: {size} bytes, more than {MAX_FILE}; save it by namespace")
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ClusterError(f"{file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ClusterError(f"{file}: not UTF-8 at byte {error.start}") from error
    try:
        return without_lone_surrogates(json.loads(text), text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise ClusterError(f"{file}: not JSON at {where}: {error.msg}; was it saved whole?") from error
    except (RecursionError, ValueError) as error:
        raise ClusterError(f"{file}: not JSON that an API server writes: {error}") from error


def _objects(value: Any, where: str) -> list[At] | None:
    """The objects of a List or a plain list, or the one object; None if it is none of these."""
    if isinstance(value, list):
        kinds = [item for item in value if isinstance(item, dict) and isinstance(item.get("kind"), str)]
        return [At(item, f"{where}[{index}]") for index, item in enumerate(value)] if kinds == value else None
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return None
    kind, top = value["kind"], At(value, where)
    if not kind.endswith("List"):
        return [top]
    # A PodList, from `kubectl get --raw`, leaves out what its items are.
    named = {"kind": kind.removesuffix("List")} if kind != "List" else {}
    return [At(named | item.value, item.where) for item in top.objects("items")]


def _assemble(items: list[At], files: tuple[str, ...], skipped: tuple[tuple[str, str], ...]) -> ClusterSnapshot:
    pods: list[At] = []
    nodes: dict[str, ApiNode] = {}
    objects: dict[tuple[str, str, str], dict[str, Any]] = {}
    owners: dict[tuple[str, str, str], str] = {}
    for item in items:
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
    by_uid: dict[str, ApiPod] = {}
    for item in pods:
        pod = pod_of(item, owners)
        known = by_uid.setdefault(pod.uid, pod)
        if (known.namespace, known.name) != (pod.namespace, pod.name):
            place = item.object("metadata").at("uid")
            raise ClusterError(f"{place}: {pod.uid} is the uid of {known.namespace}/{known.name} too")
        by_uid[pod.uid] = pod
    # Past ids first, so that an id in use belongs to its present container.
    pairs = [(pod, one) for pod in by_uid.values() for one in pod.containers]
    containers = {ident: pair for pair in pairs for ident in pair[1].ids[1:]}
    containers |= {pair[1].ids[0]: pair for pair in pairs if pair[1].ids}
    by_hash = {pod.config_hash: pod for pod in by_uid.values() if pod.config_hash}
    return ClusterSnapshot(by_uid, containers, nodes, objects, files, skipped, by_hash)
