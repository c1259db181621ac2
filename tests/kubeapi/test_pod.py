# SPDX-License-Identifier: Apache-2.0
"""One pod from the API server: the object, its events, its logs, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.errors import AccessError, NodeError
from memir.kubeapi.client import KubeOptions, make_api, open_raw
from memir.kubeapi.pod import container_ids, containers_of, end_of, read_events, read_log, read_node, read_pod
from tests.acquire.rigs.kube import KubeServer

POD: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
    "spec": {
        "initContainers": [{"name": "wait"}, {"name": "proxy", "restartPolicy": "Always"}],
        "containers": [{"name": "web"}], "ephemeralContainers": [{"name": "debug"}],
    },
    "status": {
        "containerStatuses": [{
            "name": "web", "containerID": "containerd://aa", "state": {"running": {}},
            "lastState": {"terminated": {"containerID": "containerd://bb"}},
        }, "odd"],
        "initContainerStatuses": [{"name": "wait", "state": {"terminated": {"containerID": "containerd://cc"}}}],
    },
}  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KubeServer]:
    made = KubeServer()
    made.recorded["shop/web"] = POD
    made.logs["shop/web", "web", False] = b"x" * 700_000
    made.load([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}])
    made.objects["/api/v1/namespaces/shop/events"] = [
        {"kind": "Event", "metadata": {"name": str(number)}, "involvedObject": {"uid": "u" if number % 2 else "v"}}
        for number in range(1200)
    ]
    made.start()
    made.kubeconfig(tmp_path / "kubeconfig")
    yield made
    made.stop()


@pytest.fixture
def api(server: KubeServer, tmp_path: Path) -> Any:
    return make_api(KubeOptions(str(tmp_path / "kubeconfig")))


def test_containers_of_every_kind() -> None:
    rows = [(kind, spec["name"], container_ids(status)) for kind, spec, status in containers_of(POD)]
    assert rows == [
        ("init", "wait", ["cc"]), ("sidecar", "proxy", []), ("container", "web", ["aa", "bb"]),
        ("ephemeral", "debug", []),
    ]  # fmt: skip
    assert list(containers_of({"spec": 3, "status": []})) == []


def test_how_a_container_ended() -> None:
    ended = {"reason": "StartError", "exitCode": 128, "message": "sh: not found"}
    assert end_of({"state": {"terminated": ended}}) == "StartError, exit code 128: sh: not found"
    assert end_of({"state": {"terminated": {"exitCode": 0}}}) == "ended, exit code 0"
    assert [end_of(status) for status in (POD["status"]["containerStatuses"][0], {}, {"state": "odd"})] == ["", "", ""]


def test_objects(api: Any, server: KubeServer) -> None:
    assert read_pod(api, "shop", "web")["metadata"]["uid"] == "u"
    assert read_node(api, "node-1")["metadata"]["name"] == "node-1"
    events = read_events(api, "shop", "u")
    assert (len(events), {row["involvedObject"]["uid"] for row in events}) == (600, {"u"})
    assert server.requests.count("GET /api/v1/namespaces/shop/events") == 2, "page by page"
    with pytest.raises(NodeError, match="pod shop/none: get pods: not found"):
        read_pod(api, "shop", "none")


def test_logs(api: Any, server: KubeServer) -> None:
    pieces: list[bytes] = []
    assert read_log(api, "shop", "web", "web", pieces.append)
    assert (b"".join(pieces), len(pieces) > 1) == (b"x" * 700_000, True)
    assert not read_log(api, "shop", "web", "web", pieces.append, previous=True)
    with open_raw(api, "/version", {}) as body:
        assert b"gitVersion" in body.read(1000)
    server.deny.add("get pods")
    with pytest.raises(AccessError, match="not allowed to get pods/log"):
        read_log(api, "shop", "web", "web", pieces.append)
