# SPDX-License-Identifier: Apache-2.0
"""The API's view as a folder of one file a kind, as `kubectl get KIND -A -o json` writes it, for `--cluster`.

cluster.json has all of them but the pods, from the same answers: nothing is asked twice. What is denied or cut is noted
in snapshot.json, and its file has what came. Only GET is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from memir.aws.client import Connection
from memir.aws.eks_access import ClusterAccess, cluster_access
from memir.errors import AccessError, StorageError
from memir.kubeapi.client import Api, KubeOptions, make_api
from memir.kubeapi.snapshot import PODS, RESOURCES, Notes, Resource, Unread, ask_server, ask_user, now, write_list

AWS_AUTH = Resource("/api/v1/namespaces/kube-system/configmaps", "ConfigMap", named="aws-auth")
"""Who IAM's roles and users are in a cluster of EKS that still heeds it; no other ConfigMap is read."""
_AWS = "eks.amazonaws.com/v1"
_HEAD = '{"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":""},"items":['
_TAIL = "\n]}\n"


def resources(*, secret_names: bool = False) -> tuple[Resource, ...]:
    """What is read. secret_names: names and labels of secrets too; who may list those may read their values as well."""
    listed = (resource for resource in RESOURCES if secret_names or resource.plural != "secrets")
    return (PODS, *listed, AWS_AUTH)


def snapshot_kinds(
    folder: Path, options: KubeOptions | None = None, *, secret_names: bool = False, api: Api = None,
    cluster_name: str = "", aws: Connection | None = None,
) -> Notes:  # fmt: skip
    """Write the folder; what it has and lacks.

    cluster_name: of EKS, whose access entries and pod identity associations are read from AWS too, through `aws`.

    AccessError when the credentials are refused or everything is denied, ConnectError when the server does not answer,
    StorageError when the folder cannot be written or holds something already.
    """
    chosen = resources(secret_names=secret_names)
    # a wrong name or missing credentials end it before the folder is made
    access = cluster_access(cluster_name, aws or Connection()) if cluster_name else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StorageError(f"{folder} is not empty: give another folder with -o")
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror or error}") from error
    api = api if api is not None else make_api(options or KubeOptions())
    notes = Notes(server=str(api.configuration.host), taken=now())
    notes.version, notes.user = ask_server(api, notes.server), ask_user(api)
    if not cluster_name and "-eks-" not in notes.version:
        chosen = tuple(resource for resource in chosen if resource is not AWS_AUTH)
    try:
        for resource in chosen:
            path = folder / f"{resource.plural}.json"
            write_list(path, api, (resource,), notes)
            if resource.plural not in notes.counts:
                path.unlink()
        if not notes.counts:
            raise AccessError(f"{notes.server}: nothing could be read: {notes.unread[0].why}")
        others = [folder / f"{resource.plural}.json" for resource in chosen if resource is not PODS]
        with (folder / "cluster.json").open("w") as out:
            out.writelines(_joined(path for path in others if path.exists()))
        if access is not None:
            _write_access(folder, access, notes)
        notes.finished = now()
        (folder / "snapshot.json").write_text(json.dumps(asdict(notes), indent=1) + "\n")
    except OSError as error:
        raise StorageError(f"{folder}: the cluster's snapshot cannot be written: {error}") from error
    return notes


def _write_access(folder: Path, access: ClusterAccess, notes: Notes) -> None:
    """AWS's lists as files of one kind each; `spec` is what AWS says, by its own names."""
    kinds = {
        "accessentries": ("AccessEntry", access.entries), "ekscluster": ("EksCluster", [access.cluster]),
        "podidentityassociations": ("PodIdentityAssociation", access.associations),
    }  # fmt: skip
    for plural, (kind, entries) in kinds.items():
        items = [{"apiVersion": _AWS, "kind": kind, "metadata": _named(kind, entry), "spec": entry}
                 for entry in entries]  # fmt: skip
        whole = {"apiVersion": "v1", "kind": "List", "items": items}
        if items:
            (folder / f"{plural}.json").write_text(json.dumps(whole, indent=1) + "\n")
        if items or plural not in access.unread:
            notes.counts[plural] = len(items)
    notes.unread += [Unread(name, why, denied, notes.counts.get(name, 0))
                     for name, (why, denied) in access.unread.items()]  # fmt: skip


def _named(kind: str, entry: dict[str, Any]) -> dict[str, str]:
    """An association by its account, of which AWS has one; an entry by its principal."""
    if kind == "PodIdentityAssociation":
        return {"namespace": str(entry.get("namespace", "")), "name": str(entry.get("serviceAccount", ""))}
    return {"name": str(entry.get("principalArn") or entry.get("name") or "")}


def _joined(paths: Iterable[Path]) -> Iterator[str]:
    """One List of the items of several, as write_list writes them: a line an item."""
    yield _HEAD
    first = True
    for path in paths:
        with path.open() as lines:
            next(lines)
            for line in lines:
                if line.startswith("]}"):
                    break
                yield ("\n" if first else ",\n") + line.rstrip("\n").removesuffix(",")
                first = False
    yield _TAIL


def least_role(chosen: Sequence[Resource]) -> str:
    """The ClusterRole that a snapshot needs, as YAML for `kubectl apply -f -`."""
    groups: dict[str, list[str]] = {}
    for resource in chosen:
        if resource.named:
            continue
        group = resource.api_version.rpartition("/")[0]
        groups.setdefault(group, []).append(resource.plural)
    rules = [
        f'- apiGroups: ["{group}"]\n  resources: [{", ".join(sorted(names))}]\n  verbs: [list]'
        for group, names in sorted(groups.items())
    ]
    rules += [
        f'- apiGroups: ["{each.api_version.rpartition("/")[0]}"]\n  resources: [{each.plural}]\n'
        f"  resourceNames: [{each.named}]\n  verbs: [get]"
        for each in chosen if each.named
    ]  # fmt: skip
    head = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: memir-snapshot}\nrules:\n"
    return head + "\n".join(rules) + "\n"
