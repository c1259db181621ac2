# SPDX-License-Identifier: Apache-2.0
"""Opening an exec, against the loopback API stand-in that runs it; and what its refusals become."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from memir.errors import AccessError, ConnectError, NodeError, RemoteError
from memir.kubeapi.client import Api, KubeOptions, make_api
from memir.kubeapi.exec import exec_error, open_exec
from tests.acquire.rigs.kube import KubeServer
from tests.acquire.rigs.kube_node import Container
from tests.acquire.rigs.nodes import needs_root

POD: dict[str, Any] = {
    "metadata": {"name": "shell", "namespace": "ops"},
    "spec": {"containers": [{"name": "shell", "command": ["sleep", "600"]}]},
}


@pytest.fixture
def server() -> Iterator[KubeServer]:
    made = KubeServer()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def api(server: KubeServer, tmp_path: Path) -> Api:
    return make_api(KubeOptions(str(server.kubeconfig(tmp_path / "kubeconfig"))))


@needs_root
def test_the_websocket_carries_the_command(server: KubeServer, api: Api) -> None:
    server.pods["shell"], server.containers["shell"] = POD, Container(POD)
    socket = open_exec(api, "ops", "shell", ["/bin/sh", "-c", "echo out; echo err >&2; exit 3"])
    channels: dict[int, bytes] = {}
    while 3 not in channels:
        _, frame = socket.recv_data_frame()
        channels[frame.data[0]] = channels.get(frame.data[0], b"") + bytes(frame.data[1:])
    socket.shutdown()
    assert (channels[1], channels[2]) == (b"out\n", b"err\n")
    assert b'"reason": "ExitCode", "message": "3"' in channels[3]
    assert [run.command for run in server.execs] == [["/bin/sh", "-c", "echo out; echo err >&2; exit 3"]]
    assert server.requests == ["GET /api/v1/namespaces/ops/pods/shell/exec"]


def test_no_such_pod(api: Api) -> None:
    with pytest.raises(NodeError, match="pod ops/shell"):
        open_exec(api, "ops", "shell", ["true"])


def test_denied(server: KubeServer, api: Api) -> None:
    server.deny = {"create pods/exec"}
    with pytest.raises(AccessError, match="create pods/exec"):
        open_exec(api, "ops", "shell", ["true"])


def test_nobody_answers(server: KubeServer, api: Api) -> None:
    server.stop()
    with pytest.raises(ConnectError, match="did not get through"):
        open_exec(api, "ops", "shell", ["true"])


@pytest.mark.parametrize(
    ("reason", "status", "kind"),
    [
        ("Handshake status 403 Forbidden", 0, AccessError),
        ("Handshake status 404 Not Found", 0, NodeError),
        ("Not Found", 404, NodeError),
        ("Handshake status 403 Forbidden", 404, NodeError),
    ],
)
def test_the_status_of_a_refused_handshake(reason: str, status: int, kind: type[RemoteError]) -> None:
    """The client gives 0 as the status of a handshake; a status that it does give counts."""
    from kubernetes.client.exceptions import ApiException

    explained = exec_error(ApiException(status=status, reason=reason), "pod ops/shell")
    assert type(explained) is kind
    assert "pod ops/shell" in str(explained)


MESSAGE = (
    'pods "memir-1" is forbidden: User "system:serviceaccount:f:r" cannot get resource "pods/exec" in API group "" in '
    'the namespace "f"'
)


def refused(status: str, message: str) -> ApiException:
    """As of kubernetes 33 and websocket-client 1.8: all of the answer in one line."""
    body = json.dumps({"kind": "Status", "metadata": {}, "message": message, "code": 403})
    headers = {"audit-id": "356ddb84", "content-type": "application/json"}
    return ApiException(status=0, reason=f"Handshake status {status} -+-+- {headers} -+-+- {body}")


def test_the_right_that_lacks_is_the_servers_word() -> None:
    error = exec_error(refused("403 Forbidden", MESSAGE), "pod f/memir-1")
    assert isinstance(error, AccessError)
    assert str(error) == f"pod f/memir-1: not allowed to get pods/exec ({MESSAGE}): bind a role that allows it"
    other = exec_error(refused("403 Forbidden", MESSAGE.replace("cannot get", "cannot create")), "pod f/memir-1")
    assert str(other).startswith("pod f/memir-1: not allowed to create pods/exec (pods ")


def test_other_answers() -> None:
    error = exec_error(refused("404 Not Found", 'pods "x" not found'), "pod f/x")
    assert (type(error), str(error)) == (NodeError, 'pod f/x: create pods/exec: not found (pods "x" not found)')
    lost = exec_error(ApiException(status=0, reason="Connection to remote host was lost."), "pod f/x")
    assert type(lost) is ConnectError
    assert str(lost) == "pod f/x: create pods/exec did not get through: Connection to remote host was lost."
