# SPDX-License-Identifier: Apache-2.0
"""What a plan must know of a cluster, from a snapshot alone: Services, owners, enforcers of policies, rights."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memir.kube.apiobjects import ApiPod
from memir.kube.snapshot import ClusterSnapshot, load_objects
from memir.kubeapi.client import Api
from memir.kubeapi.snapshot import snapshot as take_snapshot
from memir.respond.plan import Source

Json = Mapping[str, Any]

COMPUTE = "eks.amazonaws.com/compute-type"
FARGATE = "eks.amazonaws.com/fargate-profile"
"""Label of a pod that EKS put on Fargate; `memir collect pod` refuses it."""
FARGATE_NODE = "fargate-ip-"
"""How names of Fargate's nodes begin, one for each pod: fargate-ip-10-0-0-9.eu-west-1.compute.internal."""
GROUPS = {
    "Deployment": "/apis/apps/v1", "ReplicaSet": "/apis/apps/v1", "StatefulSet": "/apis/apps/v1",
    "DaemonSet": "/apis/apps/v1", "Job": "/apis/batch/v1", "ReplicationController": "/api/v1", "Pod": "/api/v1",
}  # fmt: skip
ENFORCERS = (
    ("cilium", "Cilium"), ("calico-node", "Calico"), ("antrea-agent", "Antrea"), ("kube-router", "kube-router"),
    ("kube-network-policies", "kube-network-policies"),
)  # fmt: skip
"""DaemonSets that enforce NetworkPolicies wherever they run, and what they are called."""


@dataclass(frozen=True, slots=True)
class Enforcer:
    """Who makes NetworkPolicies hold. name: "" none, "unknown". owned_only: binds only to pods with an owner."""

    name: str
    why: str
    owned_only: bool = False

    @property
    def cuts(self) -> bool:
        """Whether a policy is known to be enforced."""
        return self.name not in ("", "unknown")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A snapshot, its pods as their JSON was, and where it comes from."""

    snapshot: ClusterSnapshot
    objects: Mapping[tuple[str, str, str], Json]
    source: Source
    kinds: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def load(cls, folder: Path, source: Source | None = None) -> Cluster:
        """From a folder or file. Raises ClusterError."""
        snapshot, items = load_objects(folder)
        objects = {_key(item): item for item in items}
        kinds = frozenset(kind for kind, _, _ in objects)
        return cls(snapshot, objects, source or _source(folder), kinds)

    @classmethod
    def ask(cls, api: Api, where: str) -> Cluster:
        """From the API server: what `kubeapi.snapshot` reads, kept nowhere. Raises AccessError, ConnectError."""
        with tempfile.TemporaryDirectory(prefix="memir-cluster-") as folder:
            take_snapshot(Path(folder), api=api)
            read = _source(Path(folder))
            return cls.load(Path(folder), Source("api", where, read.taken, read.unread))

    def object(self, kind: str, namespace: str, name: str) -> Json:
        """An object's JSON, {} if it is not there."""
        return self.objects.get((kind, namespace, name), {})

    def pod(self, pod: ApiPod) -> Json:
        """A pod's JSON."""
        return self.object("Pod", pod.namespace, pod.name)

    def of_kind(self, kind: str) -> Iterator[Json]:
        """Every object of a kind."""
        return (item for (its, _, _), item in self.objects.items() if its == kind)

    def owner(self, pod: ApiPod) -> tuple[str, str, Json]:
        """(kind, name, JSON) of a pod's controller; ("", "", {}) of a bare pod."""
        kind, _, name = (pod.owner or "").partition("/")
        return kind, name, self.object(kind, pod.namespace, name) if kind else {}

    def workload(self, pod: ApiPod) -> tuple[str, str, Json]:
        """The same of the controller at the end of the chain: a ReplicaSet's Deployment."""
        kind, _, name = (pod.workload or "").partition("/")
        return kind, name, self.object(kind, pod.namespace, name) if kind else {}

    def services(self, pod: ApiPod) -> list[tuple[str, Mapping[str, str]]]:
        """(name, selector) of each Service that selects the pod."""
        selectors = [
            (name_of(item), selector)
            for item in self.of_kind("Service")
            if meta(item).get("namespace") == pod.namespace and (selector := texts(item, "spec", "selector"))
        ]
        return [(name, selector) for name, selector in selectors if selector.items() <= pod.labels.items()]

    def autoscaler(self, pod: ApiPod) -> str:
        """The HorizontalPodAutoscaler that sets the count of the pod's workload, "" if none is known."""
        kind, name, _ = self.workload(pod)
        for item in self.of_kind("HorizontalPodAutoscaler"):
            target = part(item, "spec", "scaleTargetRef")
            same = (target.get("kind"), target.get("name")) == (kind, name)
            if same and meta(item).get("namespace") == pod.namespace:
                return name_of(item)
        return ""

    def policies(self, pod: ApiPod) -> list[str]:
        """Names of the NetworkPolicies that select the pod."""
        return [
            name_of(item)
            for item in self.of_kind("NetworkPolicy")
            if meta(item).get("namespace") == pod.namespace and selects(part(item, "spec", "podSelector"), pod.labels)
        ]

    def enforcer(self) -> Enforcer:
        """Who enforces NetworkPolicies, by the DaemonSets of the network plugins."""
        if "DaemonSet" not in self.kinds:
            return Enforcer("unknown", "the snapshot has no DaemonSets")
        sets = {name_of(item): item for item in self.of_kind("DaemonSet")}
        for name, label in ENFORCERS:
            if name in sets:
                return Enforcer(label, f"DaemonSet {name}")
        node = sets.get("aws-node")
        if node is None:
            if any(labels_of(item).get(COMPUTE) == "auto" for item in self.of_kind("Node")):
                return Enforcer("unknown", "EKS Auto Mode enforces only where its NodeClass and ConfigMap say so", True)
            return Enforcer("", "no DaemonSet of a network plugin that is known to enforce policies")
        arguments = [
            str(word)
            for container in objects_of(part(node, "spec", "template", "spec").get("containers"))
            if "network-policy-agent" in str(container.get("image")) or container.get("name") == "aws-eks-nodeagent"
            for word in container.get("args") or []
        ]
        if "--enable-network-policy=true" in arguments:
            return Enforcer("VPC CNI", "DaemonSet aws-node with its network policy agent on", True)
        return Enforcer("", "DaemonSet aws-node, whose network policy agent is not on")

    def account_pods(self, namespace: str, account: str) -> list[ApiPod]:
        """Running pods of a service account."""
        return [
            pod
            for pod in self.snapshot.pods.values()
            if pod.namespace == namespace and (pod.service_account or "default") == account
            and pod.phase not in ("Succeeded", "Failed")
        ]  # fmt: skip

    def bindings(self, namespace: str, account: str) -> list[tuple[str, Json]]:
        """(path, JSON) of each RoleBinding and ClusterRoleBinding that names a service account."""
        answer = []
        for kind, plural in (("RoleBinding", "rolebindings"), ("ClusterRoleBinding", "clusterrolebindings")):
            for item in self.of_kind(kind):
                if any(is_account(subject, namespace, account) for subject in objects_of(item.get("subjects"))):
                    place = meta(item).get("namespace")
                    scope = f"/namespaces/{place}" if place else ""
                    answer.append((f"/apis/rbac.authorization.k8s.io/v1{scope}/{plural}/{name_of(item)}", item))
        return answer


def on_fargate(pod: ApiPod) -> bool:
    """Whether EKS put a pod on Fargate, by the label that it gives or by the node's name."""
    return bool(pod.labels.get(FARGATE)) or (pod.node or "").startswith(FARGATE_NODE)


def is_account(subject: Json, namespace: str, account: str) -> bool:
    """Whether a binding's subject is this service account, by its kind or as the user that it is."""
    if subject.get("kind") == "ServiceAccount":
        return (subject.get("namespace"), subject.get("name")) == (namespace, account)
    return subject.get("kind") == "User" and subject.get("name") == f"system:serviceaccount:{namespace}:{account}"


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects these labels. https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/"""
    if not texts(selector, "matchLabels").items() <= labels.items():
        return False
    for rule in objects_of(selector.get("matchExpressions")):
        key, value, values = str(rule.get("key")), labels.get(str(rule.get("key"))), rule.get("values") or []
        holds = {
            "In": value in values and key in labels, "NotIn": value not in values,
            "Exists": key in labels, "DoesNotExist": key not in labels,
        }  # fmt: skip
        if not holds.get(str(rule.get("operator")), False):
            return False
    return True


def path_of(kind: str, namespace: str, name: str) -> str:
    """The API server's path of a controller or a pod."""
    return f"{GROUPS[kind]}/namespaces/{namespace}/{kind.lower()}s/{name}"


def part(item: Json, *keys: str) -> Json:
    """The object below these keys, {} where there is none."""
    value: Any = item
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def texts(item: Json, *keys: str) -> Mapping[str, str]:
    """The texts of the object below these keys."""
    return {key: value for key, value in part(item, *keys).items() if isinstance(value, str)}


def meta(item: Json) -> Json:
    """metadata."""
    return part(item, "metadata")


def labels_of(item: Json) -> Mapping[str, str]:
    """metadata.labels."""
    return texts(item, "metadata", "labels")


def annotations_of(item: Json) -> Mapping[str, str]:
    """metadata.annotations."""
    return texts(item, "metadata", "annotations")


def name_of(item: Json) -> str:
    """metadata.name."""
    return str(meta(item).get("name") or "")


def objects_of(value: Any) -> Sequence[Json]:
    """The objects of a list, [] for what is none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []



def _key(item: Json) -> tuple[str, str, str]:
    return str(item.get("kind") or ""), str(meta(item).get("namespace") or ""), name_of(item)


def _source(folder: Path) -> Source:
    """What snapshot.json, which memir writes beside its snapshots, says; else only the place."""
    try:
        notes = json.loads((folder / "snapshot.json").read_text())
        unread = tuple(f"{item['resource']}: {item['why']}" for item in notes["unread"])
        return Source("snapshot", str(folder), str(notes["taken"]), unread)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Source("snapshot", str(folder))
