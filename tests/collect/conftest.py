# SPDX-License-Identifier: Apache-2.0
"""A pod in a node of this machine, and an API server that knows it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acquire.conftest import aws, bucket, s3, shim, ssm_server  # noqa: F401  (fixtures)
from tests.acquire.rigs.kube import KubeServer
from tests.collect.podrig import PodRig


@pytest.fixture
def shm(pod: PodRig) -> Iterator[Path]:
    """The node's own /dev/shm: its lock, and what is left there, are not those of other tests' nodes."""
    folder = pod.root / "dev/shm"
    subprocess.run(["mount", "-t", "tmpfs", "rig", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def kube(pod: PodRig, tmp_path: Path) -> Iterator[KubeServer]:
    """Knows the pod, its node, one event of it and one of another pod of its name, and its logs."""
    server = KubeServer()
    name = f"{pod.namespace}/{pod.name}"
    server.recorded[name] = pod.document()
    for uid, reason in ((pod.uid, "BackOff"), ("another", "Scheduled")):
        event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{pod.name}.{reason}"}, "reason": reason,
                 "involvedObject": {"kind": "Pod", "name": pod.name, "uid": uid}}  # fmt: skip
        server.objects.setdefault(f"/api/v1/namespaces/{pod.namespace}/events", []).append(event)
    server.load([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}])
    server.logs[name, "web", False] = b"2026-11-29T12:01:00Z second run\n"
    server.logs[name, "web", True] = b"2026-11-29T12:00:00Z first run\n"
    server.start()
    server.kubeconfig(tmp_path / "kubeconfig")
    yield server
    server.stop()
