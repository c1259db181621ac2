# SPDX-License-Identifier: Apache-2.0
"""Ids in the paths that the kubelet and the runtimes use on a node.

A path may be one on the node or the root of a mount, which starts at its own file system: so the directory
that holds the id is looked for, not the path from /.
"""

from __future__ import annotations

import re

MAX_PATH = 4096
UID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}"

# <kubelet root>/pods/<uid>/...; without pods/ where that directory is a file system of its own.
_POD = re.compile(rf"/pods/({UID})(?:/|\Z)")
_BELOW_POD = re.compile(rf"\A/({UID})/(?:volumes/kubernetes\.io~|volume-subpaths/|etc-hosts\Z|containers/)")
# The termination log: <pod>/containers/<name>/<8 hex>, mounted in that container alone.
_LOG = re.compile(rf"/({UID})/containers/([0-9A-Za-z][0-9A-Za-z_.-]{{0,252}})/[0-9a-f]{{1,16}}\Z")
_SANDBOX = re.compile(r"/sandboxes/([0-9a-f]{64})(?:/|\Z)")
_STORAGE = re.compile(r"/overlay-containers/([0-9a-f]{64})(?:/|\Z)")
_DOCKER = re.compile(r"/docker/containers/([0-9a-f]{64})(?:/|\Z)")
_TASK = re.compile(r"/io\.containerd\.runtime\.v[12]\.(?:task|linux)/[^/]{1,76}/([0-9a-f]{64})(?:/|\Z)")


def pod_uid_of(path: str) -> str | None:
    """The pod UID in a path below the kubelet's pods directory."""
    match = _POD.search(path[:MAX_PATH]) or _BELOW_POD.match(path[:MAX_PATH])
    return match.group(1) if match else None


def container_name_of(path: str) -> tuple[str, str] | None:
    """(pod UID, container name) in the path of a container's termination log."""
    match = _LOG.search(path[:MAX_PATH])
    return (match.group(1), match.group(2)) if match else None


def sandbox_id_of(path: str) -> str | None:
    """The sandbox id in a path of containerd's CRI: `.../sandboxes/<id>/shm`, hostname, resolv.conf."""
    match = _SANDBOX.search(path[:MAX_PATH])
    return match.group(1) if match else None


def storage_id_of(path: str) -> str | None:
    """The id in a path of CRI-O's or podman's storage.

    A container mounts the shm, hostname and resolv.conf of its sandbox from there.
    """
    match = _STORAGE.search(path[:MAX_PATH])
    return match.group(1) if match else None


def container_id_of(path: str) -> str | None:
    """The container id in a path of Docker's or of a containerd bundle."""
    match = _DOCKER.search(path[:MAX_PATH]) or _TASK.search(path[:MAX_PATH])
    return match.group(1) if match else None
