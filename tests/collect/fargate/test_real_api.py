# SPDX-License-Identifier: Apache-2.0
"""The ephemeral container as a real API server takes it: a dry run that makes nothing, the patch, and what stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from memir.collect.fargate.transport import ContainerTransport
from memir.errors import ConnectError, RemoteError
from memir.kubeapi.client import KubeOptions
from tests.respond.kube_rig import KubeRig, running

POD = "/api/v1/namespaces/default/pods/web"
STARTED = {"running": {"startedAt": "2026-11-20T10:01:00Z"}}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeRig]:
    with running(tmp_path_factory.mktemp("kube")) as made:
        spec: dict[str, Any] = {"containers": [{"name": "web", "image": "registry.example/web:1"}]}
        pod = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
        made.call("POST", "/api/v1/namespaces/default/pods", pod)
        made.run_pod(pod)
        status = {"name": "web", "image": "x", "imageID": "x", "ready": True, "restartCount": 0, "state": STARTED,
                  "containerID": f"containerd://{'ab' * 32}"}  # fmt: skip
        made.merge(f"{POD}/status", {"status": {"containerStatuses": [status]}})
        yield made


def ours(rig: KubeRig, **more: Any) -> ContainerTransport:
    kube = KubeOptions(str(rig.kubeconfig))
    return ContainerTransport("default", "web", "web", "ephemeral", kube, image="registry.example/tools:1", **more)


def made(rig: KubeRig) -> list[dict[str, Any]]:
    pod = rig.get(POD)
    assert pod is not None
    containers: list[dict[str, Any]] = pod["spec"].get("ephemeralContainers", [])
    return containers


def test_a_dry_run_makes_nothing_and_the_patch_stays(rig: KubeRig) -> None:
    transport = ours(rig, accepted=True, user=(1000, 1000), start_seconds=1.0)
    transport.connect()
    assert {check.name: check.level for check in transport.check()} == {
        "get pods": "ok", "patch pods/ephemeralcontainers": "ok", "get pods/exec": "ok", "create pods/exec": "ok",
        "admission of an ephemeral container": "ok",
    }  # fmt: skip
    assert made(rig) == []
    with pytest.raises(ConnectError, match=r"does not run.*stays in the pod's specification"):  # there is no kubelet
        transport.run("true")
    (container,) = made(rig)
    assert (container["name"], container["targetContainerName"]) == (transport.name, "web")
    assert container["image"] == "registry.example/tools:1"
    security = container["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (1000, 1000)
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert "SYS_PTRACE" not in str(container)


def test_another_pod_of_the_name_is_refused(rig: KubeRig) -> None:
    """The patch names the pod's UID: the API server itself refuses another pod."""
    transport = ours(rig, accepted=True)
    transport.connect()
    before = made(rig)
    transport._uid = "0" * 8 + "-0000-4000-8000-" + "0" * 12
    with pytest.raises(RemoteError, match=r"422: .*metadata\.uid: Invalid value"):
        transport.run("true")
    assert made(rig) == before
