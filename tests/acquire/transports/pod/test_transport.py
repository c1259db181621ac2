# SPDX-License-Identifier: Apache-2.0
"""Scripts in a pod, against the loopback API stand-in, which runs them for real in a mount namespace each."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.transports.pod.spec import PodOptions, manifest
from memir.acquire.transports.pod.transport import GUARDDUTY, PodTransport
from memir.errors import AccessError, ConnectError, NodeError
from memir.kubeapi.client import KubeOptions
from tests.acquire.rigs.kube import KubeServer
from tests.acquire.rigs.wait import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a container's mount namespace needs root")

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node-1", "uid": "n-1"},
    "spec": {"providerID": "aws:///eu-west-1a/i-0123456789abcdef0"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kernelVersion": "6.1.176", "osImage": "Debian 12", "kubeletVersion": "v1.34.1"},
        "images": [{"names": ["registry.example/tools:1"]}],
    },
}


@pytest.fixture(params=["v5.channel.k8s.io", "v4.channel.k8s.io"])
def server(request: pytest.FixtureRequest) -> Iterator[KubeServer]:
    made = KubeServer(protocols=(request.param,))
    made.load([NODE])
    made.start()
    yield made
    made.stop()


@pytest.fixture
def transport(server: KubeServer, tmp_path: Path) -> Iterator[PodTransport]:
    made = make(server, tmp_path)
    yield made
    made.close()


def make(server: KubeServer, tmp_path: Path, **options: Any) -> PodTransport:
    kube = KubeOptions(str(server.kubeconfig(tmp_path / "kubeconfig")))
    chosen: dict[str, Any] = {"image": "registry.example/tools:1", "start_seconds": 3.0} | options
    return PodTransport("node-1", PodOptions(**chosen), kube)


def test_the_pod() -> None:
    spec = manifest("node-1", "r1", PodOptions())["spec"]
    assert spec["nodeName"] == "node-1"
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["hostPID"] is False
    assert spec["volumes"] == [{"name": "memory", "emptyDir": {"medium": "Memory"}}]
    assert spec["automountServiceAccountToken"] is False
    assert spec["activeDeadlineSeconds"] == 21600
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert "hostPath" not in str(spec)


def test_a_script_in_the_pod(transport: PodTransport, server: KubeServer) -> None:
    transport.connect()
    assert server.pods == {}
    got = transport.run("printf 'a\\0\\377'; echo oops >&2; exit 3")
    assert (got.code, got.out, got.err) == (3, b"a\0\xff", b"oops\n")
    # it really is in the pod's own mount namespace, with the directory in memory
    mounts = transport.run("grep ' /dev/shm ' /proc/mounts | tail -n 1").text
    assert mounts.startswith("pod /dev/shm tmpfs ")
    (name,) = server.pods
    assert transport.identity()["pod"] == f"default/{name}"
    assert transport.identity()["provider"] == "aws:///eu-west-1a/i-0123456789abcdef0"
    transport.close()
    assert server.pods == {}


def test_data_is_the_standard_input_whole(transport: PodTransport, server: KubeServer) -> None:
    data = secrets.token_bytes(3_000_001)
    got = transport.run("sha256sum; cat | wc -c", data=data)
    assert got.out.split()[0].decode() == hashlib.sha256(data).hexdigest()
    # neither the script nor the data is in the request
    assert all("sha256sum" not in " ".join(one.command) for one in server.execs)


def test_put(transport: PodTransport) -> None:
    data = secrets.token_bytes(100_000)
    transport.put("/dev/shm/it's", data, mode=0o700)
    got = transport.run('stat -c %a "/dev/shm/it\'s"; sha256sum < "/dev/shm/it\'s"')
    assert got.text.split()[:2] == ["700", hashlib.sha256(data).hexdigest()]


def test_stream_is_whole_and_memory_is_bounded(transport: PodTransport) -> None:
    size = 80 << 20
    stream = transport.open_stream(
        f"head -c {size} /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null; exit 4"
    )
    stream.read(1)
    digest, count = hashlib.sha256(), 1
    tracemalloc.start()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
        count += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == size
    assert stream.wait(300).code == 4
    assert peak < 4 << 20


def test_output_beyond_the_limit_is_marked(transport: PodTransport) -> None:
    got = transport.run("head -c 5000 /dev/zero", limit=1000)
    assert (len(got.out), got.truncated, got.code) == (1000, True, 0)


def test_lost_connection_is_never_an_end(transport: PodTransport, server: KubeServer) -> None:
    transport.run("true")
    for cut in (0, 1, 32768, 100_000):
        server.cut_exec = lambda command, cut=cut: cut
        stream = transport.open_stream("head -c 200000 /dev/zero")
        count = 0
        with pytest.raises(ConnectError, match="the connection to the pod"):
            while chunk := stream.read(1 << 20):
                count += len(chunk)
        assert count <= cut
    server.cut_exec = None
    assert transport.run("echo again").out == b"again\n"


def test_a_script_that_does_not_end(transport: PodTransport) -> None:
    with pytest.raises(ConnectError, match="did not end within 1 s"):
        transport.run("sleep 60", timeout=1.0)


def test_pod_dies_midway(transport: PodTransport, server: KubeServer) -> None:
    transport.run("true")
    stream = transport.open_stream("cat /dev/zero")
    stream.read(10)
    (name,) = server.pods
    server.containers[name].kill()
    got = None
    with pytest.raises(ConnectError) as caught:
        while stream.read(1 << 20):
            pass
        got = stream.wait(300)
        raise ConnectError(f"ended with {got.code}")
    # the kubelet reports SIGKILL as 137; without a word from it the connection just ends
    assert "137" in str(caught.value) or "connection" in str(caught.value)
    with pytest.raises(NodeError, match="not found or not running"):
        transport.run("true")


def test_removed_when_it_does_not_start(server: KubeServer, tmp_path: Path) -> None:
    server.waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    with pytest.raises(NodeError, match="does not start: ImagePullBackOff: no such image"):
        make(server, tmp_path).run("true")
    assert server.pods == {}
    server.waiting = {"reason": "ContainerCreating"}
    with pytest.raises(NodeError, match="did not start in 3 s"):
        make(server, tmp_path).run("true")
    assert server.pods == {}


def test_ends_by_itself_when_the_controller_vanishes(server: KubeServer, tmp_path: Path) -> None:
    lost = make(server, tmp_path, grace=5)
    lost.run("true")
    (name,) = server.pods
    until(lambda: not server.containers[name].running)
    # what is left of it is deleted by the next run on the node
    following = make(server, tmp_path)
    following.connect()
    following.run("true")
    assert len(server.pods) == 2
    following.close()
    assert server.pods == {}


def test_deadline_ends_it(server: KubeServer, tmp_path: Path) -> None:
    late = make(server, tmp_path, deadline=2)
    stream = late.open_stream("sleep 60; echo done")
    with pytest.raises(ConnectError):
        while True:
            if not stream.read(10):
                raise ConnectError(f"{stream.wait(1).code}")
    late.close()
    assert server.pods == {}


def test_two_runs_at_once(server: KubeServer, tmp_path: Path) -> None:
    first, second = make(server, tmp_path), make(server, tmp_path)
    first.connect()
    first.run("true")
    with pytest.raises(NodeError, match="another run is going on on node node-1"):
        second.connect()
    # one that looked before the first had begun backs out, and takes its own pod with it
    with pytest.raises(NodeError, match="another run has just begun"):
        second.run("true")
    assert len(server.pods) == 1
    assert first.run("echo still").out == b"still\n"
    first.close()


@pytest.mark.parametrize("right", ["create pods", "create pods/exec", "get pods/exec", "get nodes", "list pods"])
def test_access_denied_names_the_right(server: KubeServer, tmp_path: Path, right: str) -> None:
    server.deny = {right}
    denied = make(server, tmp_path)
    checks = {check.name: check.level for check in denied.check()}
    assert checks[right] == "fail"
    with pytest.raises(AccessError, match=f"not allowed to {right} ") as refused:
        denied.connect()
        denied.run("true")
    if right.endswith("exec"):  # the server's own words, without the headers of its answer
        verb = right.partition(" ")[0]
        said = f'(pods "x" is forbidden: User "responder" cannot {verb} resource "pods/exec")'
        assert str(refused.value).endswith(f"not allowed to {right} {said}: bind a role that allows it")
    denied.close()
    assert server.pods == {}


def test_checks_change_nothing(transport: PodTransport, server: KubeServer) -> None:
    checks = transport.check()
    assert [check.level for check in checks] == ["ok"] * 9
    assert server.pods == {}
    server.admission = 'violates PodSecurity "restricted:latest": privileged'
    denied = {check.name: check for check in transport.check()}["admission of a privileged pod"]
    assert denied.level == "fail"
    assert denied.detail == server.admission


def test_image_that_would_be_pulled_is_said(server: KubeServer, tmp_path: Path) -> None:
    other = make(server, tmp_path, image="registry.example/other:1")
    check = other.check()[-1]
    assert check.level == "warn"
    assert "written to its disk" in check.detail


def test_token_expires_midway(transport: PodTransport, server: KubeServer) -> None:
    transport.run("true")
    server.tokens = set()
    with pytest.raises(AccessError, match="no longer accepts the credentials"):
        transport.run("true")
    server.tokens = {"good-token"}


def test_node_not_ready_or_unknown(server: KubeServer, tmp_path: Path) -> None:
    unknown = PodTransport("node-9", PodOptions(), KubeOptions(str(server.kubeconfig(tmp_path / "kubeconfig"))))
    with pytest.raises(NodeError, match=r'nodes "node-9" not found'):
        unknown.connect()
    gone: dict[str, Any] = NODE | {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    server.objects["/api/v1/nodes"] = [gone]
    with pytest.raises(NodeError, match=r"not ready \(Unknown\)"):
        make(server, tmp_path).connect()


def test_scripts_at_once(transport: PodTransport) -> None:
    got: dict[int, bytes] = {}

    def one(number: int) -> None:
        got[number] = transport.run(f"sleep 0.2; cat; echo {number}", data=b"n").out

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: f"n{number}\n".encode() for number in range(4)}


def test_the_finding_it_causes_is_named(transport: PodTransport) -> None:
    assert any(GUARDDUTY in trace.what for trace in transport.traces())


def test_nothing_runs_on_after_close(transport: PodTransport, server: KubeServer) -> None:
    mark = secrets.token_hex(8)
    stream = transport.open_stream(f"echo {mark}; sleep 600")
    assert stream.read(100).strip().decode() == mark
    process = server.execs[-1].process
    transport.close()
    until(lambda: process is not None and process.poll() is not None)
