# SPDX-License-Identifier: Apache-2.0
"""One pod as the API server has it: the object, its events, what its containers wrote. Only GET is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from memir.errors import NodeError, RemoteError
from memir.kubeapi.client import Api, calling, get_json, open_raw, status_of

MAX_EVENT_PAGES = 40
MAX_LOG = 4 << 30
"""Bytes of one container's log; the kubelet turns files over at 10 MiB by itself."""
_LISTS = (("initContainers", "init"), ("containers", "container"), ("ephemeralContainers", "ephemeral"))
_STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


def read_pod(api: Api, namespace: str, name: str) -> dict[str, Any]:
    """The pod. NodeError if there is none, AccessError, ConnectError."""
    with calling("get pods", f"pod {namespace}/{name}"):
        return get_json(api, _path(namespace, name), {})


def read_node(api: Api, name: str) -> dict[str, Any]:
    """The node object. RemoteError."""
    with calling("get nodes", f"node {name}"):
        return get_json(api, f"/api/v1/nodes/{quote(name, safe='')}", {})


def read_events(api: Api, namespace: str, uid: str) -> list[dict[str, Any]]:
    """The events that are about the pod and no other of its name. RemoteError."""
    query = {"fieldSelector": f"involvedObject.uid={uid}", "limit": "500"}
    events: list[dict[str, Any]] = []
    with calling("list events", f"namespace {namespace}"):
        for _ in range(MAX_EVENT_PAGES):
            answer = get_json(api, f"/api/v1/namespaces/{quote(namespace, safe='')}/events", query)
            items = answer.get("items")
            events += [
                item
                for item in (items if isinstance(items, list) else [])
                if isinstance(item, dict) and (item.get("involvedObject") or {}).get("uid") == uid
            ]
            token = str((answer.get("metadata") or {}).get("continue") or "")
            if not token:
                break
            query["continue"] = token
    return events


def containers_of(pod: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(kind, its spec, its status) of every container: init, sidecar (an init container that runs on), container,
    ephemeral. The status is {} where there is none yet."""
    spec, status = _object(pod.get("spec")), _object(pod.get("status"))
    for (field, kind), list_name in zip(_LISTS, _STATUSES, strict=True):
        known = {entry.get("name"): entry for entry in _objects(status.get(list_name))}
        for container in _objects(spec.get(field)):
            sidecar = kind == "init" and container.get("restartPolicy") == "Always"
            yield "sidecar" if sidecar else kind, container, known.get(container.get("name")) or {}


def container_ids(status: Mapping[str, Any]) -> list[str]:
    """The ids of a container and of its run before, without the runtime's name (`containerd://`)."""
    ids = [str(status.get("containerID") or "")]
    for field in ("state", "lastState"):
        ids.append(str(_object(_object(status.get(field)).get("terminated")).get("containerID") or ""))
    bare = [name.rpartition("//")[2] for name in ids]
    return list(dict.fromkeys(name for name in bare if name))


def end_of(status: Mapping[str, Any]) -> str:
    """How a container that has ended did: `StartError, exit code 128: ... not found`; "" of one that has not."""
    end = _object(_object(status.get("state")).get("terminated"))
    if not end:
        return ""
    return f"{end.get('reason') or 'ended'}, exit code {end.get('exitCode')}: {end.get('message') or ''}".rstrip(": ")


def read_log(
    api: Api, namespace: str, name: str, container: str, write: Callable[[bytes], object], *, previous: bool = False
) -> bool:
    """What a container wrote, with the kubelet's time before each line, piece by piece into `write`.

    False if there is none: it has not started, or no run before is kept. Raises RemoteError.
    """
    query = {"container": container, "timestamps": "true"} | ({"previous": "true"} if previous else {})
    where = f"pod {namespace}/{name}, container {container}"
    try:
        with calling("get pods/log", where), open_raw(api, f"{_path(namespace, name)}/log", query) as body:
            size = 0
            while data := body.read(1 << 18):
                size += len(data)
                if size > MAX_LOG:
                    raise NodeError(f"{where}: its log is longer than {MAX_LOG:,} bytes: cut there")
                write(data)
    except RemoteError as error:
        if status_of(error) in {400, 404}:
            return False
        raise
    return True


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}"


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
