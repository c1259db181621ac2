# SPDX-License-Identifier: Apache-2.0
"""Scripts in a pod's container: rights, admission, what is refused; what is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.collect.fargate.transport import PERMANENT, ContainerTransport, Way
from memir.errors import AccessError, ConnectError, NodeError, UsageError
from memir.kubeapi.client import KubeOptions
from tests.collect.fargate.rig import FargateRig, FargateServer


def transport(pod: FargateRig, tmp_path: Path, way: Way = "ephemeral", **more: Any) -> ContainerTransport:
    kube = KubeOptions(str(tmp_path / "kubeconfig"))
    return ContainerTransport(pod.namespace, pod.name, "web", way, kube, image="image", **more)


def test_scripts_in_the_container_beside(fargate_pod: FargateRig, server: FargateServer, tmp_path: Path) -> None:
    ours = transport(fargate_pod, tmp_path, accepted=True, user=(1000, 1000))
    ours.connect()
    assert ours.identity()["container_id"] == f"containerd://{fargate_pod.container}"
    assert {check.level for check in ours.check()} == {"ok"}
    assert server.made == {}
    done = ours.run("id -u; cat", data=b"fed")
    assert (done.code, done.text) == (0, "1000\nfed")
    assert list(server.made) == [ours.name]
    stream = ours.open_stream("echo streamed")
    assert (stream.read(100), stream.wait(30).code) == (b"streamed\n", 0)
    assert len(server.made) == 1
    ours.reconnect()
    ours.close()
    server.made[ours.name].process.wait(30)
    with pytest.raises(NodeError, match="/x: nothing is written in pod"):
        ours.put("/x", b"")


def test_an_exec_makes_nothing(fargate_pod: FargateRig, server: FargateServer, tmp_path: Path) -> None:
    ours = transport(fargate_pod, tmp_path, "exec")
    ours.connect()
    assert [check.name for check in ours.check()] == ["get pods", "get pods/exec", "create pods/exec"]
    assert ours.run("id -u").text == "1000\n"
    assert server.made == {}
    assert "run a shell in container web" in ours.steps()[0].what
    assert ours.traces()[-1].where == "the container's process list"
    ours.close()


def test_what_is_refused(fargate_pod: FargateRig, server: FargateServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--accept-ephemeral"):
        transport(fargate_pod, tmp_path).run("true")
    assert "CANNOT BE TAKEN BACK" in transport(fargate_pod, tmp_path, user=(7, 8)).steps()[0].what
    assert "cannot be taken back" in PERMANENT
    server.deny |= {"patch pods/ephemeralcontainers"}
    ours = transport(fargate_pod, tmp_path, accepted=True)
    ours.connect()
    levels = {check.name: check.level for check in ours.check()}
    assert levels["patch pods/ephemeralcontainers"] == levels["admission of an ephemeral container"] == "fail"
    with pytest.raises(AccessError, match="not allowed to patch pods/ephemeralcontainers"):
        ours.run("true")
    server.deny.clear()
    server.refuse_start = "ErrImageNeverPull"
    with pytest.raises(ConnectError, match=r"does not run \(ErrImageNeverPull: no\); it stays in the pod's spec"):
        ours.run("true")


def test_another_pod_of_the_name(fargate_pod: FargateRig, server: FargateServer, tmp_path: Path) -> None:
    ours = transport(fargate_pod, tmp_path)
    ours.connect()
    server.recorded[f"{fargate_pod.namespace}/{fargate_pod.name}"]["metadata"]["uid"] = "another"
    with pytest.raises(NodeError, match="is another pod now"):
        ours.connect()
