# SPDX-License-Identifier: Apache-2.0
"""Which pods and nodes a plan is about: by name, workload, service account, image, node, alert or finding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from memir.errors import UsageError
from memir.kube.apiobjects import ApiPod
from memir.respond.cluster import COMPUTE, FARGATE_NODE, Cluster, labels_of
from memir.respond.plan import NodeFolder, NodeTarget, PodTarget

ENDED = ("Succeeded", "Failed")
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""RFC 1123, of namespaces, pods and nodes: they stand in paths and commands."""
_NAMED = 10
"""Pods that are named where none matches."""


@dataclass(frozen=True, slots=True)
class Clue:
    """What an alert or a finding says of its pod or node; any of it may be missing ("").

    folders: of its node, as a case's mounts tell.
    """

    source: str
    pod_uid: str = ""
    namespace: str = ""
    pod: str = ""
    workload: str = ""
    container_ids: tuple[str, ...] = ()
    instance_id: str = ""
    node: str = ""
    folders: tuple[NodeFolder, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for; each may be several."""

    pods: Sequence[str] = ()
    workloads: Sequence[str] = ()
    service_accounts: Sequence[str] = ()
    images: Sequence[str] = ()
    nodes: Sequence[str] = ()
    clues: Sequence[Clue] = ()


@dataclass(frozen=True, slots=True)
class Matches:
    """Pods with why they matched, nodes, and what to tell the reader."""

    pods: Sequence[tuple[ApiPod, str]]
    nodes: Sequence[NodeTarget]
    notes: Sequence[str] = field(default=())


def match(cluster: Cluster, query: Query) -> Matches:
    """Every pod that any part of the query names, and their nodes. Raises UsageError for a part that names none."""
    chosen: dict[str, tuple[ApiPod, str]] = {}
    nodes: dict[str, None] = {}
    folders: dict[str, tuple[NodeFolder, ...]] = {}
    for label, wanted, test in (
        ("--pod", query.pods, _by_name), ("--workload", query.workloads, _by_workload),
        ("--service-account", query.service_accounts, _by_account), ("--image", query.images, _by_image),
    ):  # fmt: skip
        for word in wanted:
            _add(chosen, _some(cluster, test(word), label, word), f"{label} {word}")
    unseen: list[str] = []
    for clue in query.clues:
        pods = _by_clue(cluster, clue)
        _add(chosen, pods, clue.source)
        node = cluster.snapshot.node_of_instance(clue.instance_id) if clue.instance_id else None
        named = node.name if node is not None else clue.node
        if not pods and not (named and cluster.object("Node", "", named)):
            raise UsageError(
                f"{clue.source}: its pod ({clue.namespace}/{clue.pod or clue.workload}) and its node"
                f" ({clue.instance_id or clue.node or 'none named'}) are not in the cluster's view: is it another's?"
            )
        unseen += _unseen(cluster, clue, pods, named)
        if named:
            nodes[named] = None
        if clue.folders:
            folders |= dict.fromkeys([named] if named else [pod.node for pod in pods if pod.node], clue.folders)
    for name in query.nodes:
        if not cluster.object("Node", "", name) and not cluster.snapshot.pods_on(name):
            raise UsageError(f"--node {name}: no such node; there are {', '.join(sorted(cluster.snapshot.nodes))}")
        nodes[name] = None
    words = [word or "" for pod, _ in chosen.values() for word in (pod.namespace, pod.name, pod.node)]
    for name in [*nodes, *words]:
        if name and not NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name that a cluster gives: is the snapshot what an API server wrote?")
    notes = [
        f"{pod.namespace}/{pod.name} has ended ({pod.phase}): its node is acquired, the pod itself is left alone"
        for pod, _ in chosen.values()
        if pod.phase in ENDED
    ]
    nodes |= dict.fromkeys(pod.node for pod, _ in chosen.values() if pod.node)
    unplaced = [f"{pod.namespace}/{pod.name} is on no node yet" for pod, _ in chosen.values() if not pod.node]
    targets = [replace(node_target(cluster, name), folders=folders.get(name, ())) for name in nodes]
    return Matches(list(chosen.values()), targets, [*unseen, *notes, *unplaced])


def _unseen(cluster: Cluster, clue: Clue, pods: Sequence[ApiPod], node: str) -> Iterator[str]:
    """What an alert names and the cluster's view does not have; the plan goes on without it."""
    name = f"{clue.namespace}/{clue.pod or clue.workload}" if clue.pod or clue.workload else clue.pod_uid
    name = name or ", ".join(ident[:12] for ident in clue.container_ids)
    if name and not pods:
        yield (
            f"{clue.source}: its pod {name} is not in the cluster's view, and no step is about it: node {node} alone is"
            f" planned for. Is the pod gone, or is the view older? The view has {_pods_there(cluster)}"
        )
    where = sorted({pod.node for pod in pods if pod.node})
    if clue.instance_id and cluster.snapshot.node_of_instance(clue.instance_id) is None:
        yield f"{clue.source}: no node of the cluster's view is its instance {clue.instance_id}: no step is about it"
    elif node and where and where != [node]:
        yield f"{clue.source}: it names node {node}, and its pod is on {', '.join(where)}: both are planned for"


def _add(chosen: dict[str, tuple[ApiPod, str]], pods: Iterable[ApiPod], reason: str) -> None:
    for pod in pods:
        chosen.setdefault(pod.uid, (pod, reason))


def _some(cluster: Cluster, test: Callable[[ApiPod], bool], label: str, word: str) -> list[ApiPod]:
    pods = sorted(filter(test, cluster.snapshot.pods.values()), key=lambda pod: (pod.namespace, pod.name))
    if not pods:
        raise UsageError(f"{label} {word}: no pod of the cluster's view matches; it has {_pods_there(cluster)}")
    return pods


def _pods_there(cluster: Cluster) -> str:
    """The first of the view's pods, and how many there are."""
    names = sorted(f"{pod.namespace}/{pod.name}" for pod in cluster.snapshot.pods.values())
    there = f"{', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}" if names else "no pod at all"
    return f"{there} ({len(names):,})"


def _pair(word: str, label: str, form: str) -> tuple[str, str]:
    namespace, slash, name = word.partition("/")
    if not slash or not namespace or not name:
        raise UsageError(f"{label} {word!r}: write {form}")
    return namespace, name


def _by_name(word: str) -> Callable[[ApiPod], bool]:
    pair = _pair(word, "--pod", "NAMESPACE/NAME")
    return lambda pod: (pod.namespace, pod.name) == pair


def _by_account(word: str) -> Callable[[ApiPod], bool]:
    pair = _pair(word, "--service-account", "NAMESPACE/NAME")
    return lambda pod: (pod.namespace, pod.service_account or "default") == pair


def _by_workload(word: str) -> Callable[[ApiPod], bool]:
    namespace, rest = _pair(word, "--workload", "NAMESPACE/KIND/NAME")
    kind, name = _pair(rest, "--workload", "NAMESPACE/KIND/NAME, as shop/Deployment/web")

    def test(pod: ApiPod) -> bool:
        controllers = {(owner or "").lower() for owner in (pod.owner, pod.workload)}
        return pod.namespace == namespace and f"{kind}/{name}".lower() in controllers

    return test


def _by_image(word: str) -> Callable[[ApiPod], bool]:
    """An image with its tag or digest, or without: then of every tag."""

    def test(pod: ApiPod) -> bool:
        return any(
            word in (image, _without_tag(image)) or (word.startswith("sha256:") and image.endswith(word))
            for container in pod.containers
            for image in (container.image, container.image_id)
            if image
        )

    return test


def _without_tag(image: str) -> str:
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def _by_clue(cluster: Cluster, clue: Clue) -> list[ApiPod]:
    """By UID, by container, by name, by workload; the first that gives any."""
    snapshot = cluster.snapshot
    if clue.pod_uid and (pod := snapshot.pod(clue.pod_uid)) is not None:
        return [pod]
    by_container = [snapshot.containers[ident][0] for ident in clue.container_ids if ident in snapshot.containers]
    if by_container:
        return list({pod.uid: pod for pod in by_container}.values())
    pods = [pod for pod in snapshot.pods.values() if pod.namespace == clue.namespace]
    if clue.pod:
        return [pod for pod in pods if pod.name == clue.pod]
    name = clue.workload.lower()
    return [pod for pod in pods if name and name in {(owner or "").lower() for owner in (pod.owner, pod.workload)}]


def pod_target(pod: ApiPod, reason: str, role: str | None) -> PodTarget:
    """What a plan says of a pod."""
    images = tuple(container.image for container in pod.containers if container.image)
    return PodTarget(
        pod.namespace, pod.name, pod.uid, pod.node, reason, pod.owner, pod.workload, pod.service_account,
        pod.iam_role or role, pod.host_network, images,
    )  # fmt: skip


def node_target(cluster: Cluster, name: str) -> NodeTarget:
    """What a plan says of a node, by its labels."""
    node, labels = cluster.snapshot.nodes.get(name), labels_of(cluster.object("Node", "", name))
    if node is None:
        return NodeTarget(name, None, None, "fargate" if name.startswith(FARGATE_NODE) else "unknown")
    compute, group = labels.get(COMPUTE, ""), labels.get("eks.amazonaws.com/nodegroup")
    zone = labels.get("topology.kubernetes.io/zone") or _zone(node.provider_id or "")
    instance = node.instance_id if (node.instance_id or "").startswith("i-") else None
    if compute == "fargate" or name.startswith(FARGATE_NODE):
        return NodeTarget(name, node.uid, None, "fargate", zone)
    if compute == "auto":
        return NodeTarget(name, node.uid, instance, "auto", zone)
    if "karpenter.sh/nodepool" in labels or "karpenter.sh/provisioner-name" in labels:
        return NodeTarget(name, node.uid, instance, "karpenter", zone, labels.get("karpenter.sh/nodepool"))
    return NodeTarget(name, node.uid, instance, "node-group" if group else "other", zone, group)


def _zone(provider: str) -> str | None:
    """eu-west-1a of aws:///eu-west-1a/i-0abc."""
    words = provider.removeprefix("aws:///").split("/")
    return words[0] if provider.startswith("aws:///") and len(words) == 2 else None
