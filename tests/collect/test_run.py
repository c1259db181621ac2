# SPDX-License-Identifier: Apache-2.0
"""A pod collected from a node of this machine: whole, cut, on the wrong node; over a real sshd; judged by verify."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.transports.base import Result, Stream
from memir.acquire.transports.local import LocalTransport
from memir.acquire.transports.pod.spec import PodOptions
from memir.acquire.transports.pod.transport import PodTransport
from memir.acquire.transports.ssh.target import SshTarget
from memir.acquire.transports.ssh.transport import SshTransport
from memir.collect.run import CollectOptions, PodCollection, heartbeat
from memir.collect.target import Target, by_api, by_uid
from memir.errors import NodeError, PartialError
from memir.evidence.pod_receipt import pod_receipt_of
from memir.evidence.verify import verify
from memir.kubeapi.client import KubeOptions, make_api
from tests.acquire.rigs.kube import KubeServer
from tests.acquire.rigs.sshd import Sshd, keygen
from tests.collect.podrig import HEAP, PASSWORD, PodRig


def known(pod: PodRig, tmp_path: Path) -> Target:
    return by_api(make_api(KubeOptions(str(tmp_path / "kubeconfig"))), f"{pod.namespace}/{pod.name}")


def test_whole_signed_and_nothing_left(pod: PodRig, kube: KubeServer, tmp_path: Path) -> None:
    key = keygen(tmp_path / "key")
    evidence = tmp_path / "ev"
    options = CollectOptions(sign_key=key, case="CASE-7")
    steps: list[str] = []
    run = PodCollection(LocalTransport(pod.root), known(pod, tmp_path), evidence, options,
                        lambda step: steps.append(step.phase))  # fmt: skip
    receipt = run.execute()
    assert (receipt["status"], receipt["missing"], receipt["left_on_node"]) == ("complete", [], [])
    assert pod.left() == []
    collection = receipt["collection"]
    assert (collection["processes"], collection["exit_code"]) == (3, 0)
    assert collection["sent"] == collection["received"]
    (layer,) = collection["layers"]
    assert (layer["container_id"], layer["files"], layer["whiteouts"], layer["opaque"]) == (pod.container, 8, 1, 1)
    core = evidence / f"clear/memory/{pod.pid}.core"
    assert HEAP in core.read_bytes()
    outside = [path for path in evidence.rglob("*") if path.is_file() and "clear" not in path.parts
               and PASSWORD.encode() in path.read_bytes()]  # fmt: skip
    assert [path.name for path in outside] == ["config.json"], "the runtime's own record is as it is"
    findings = verify(evidence, public_key=tmp_path / "key.pub", expect={"case": "CASE-7", "transport": "local"})
    assert (findings.problems, findings.status, findings.exit_code) == ([], "complete", 0)
    assert "10 files in 1 layers, against their lists" in findings.checked
    assert findings.whose["pod"] == f"{pod.namespace}/{pod.name}"
    kept = pod_receipt_of(evidence)
    assert kept is not None
    assert kept.document() == receipt
    assert "node/processes.jsonl" in steps
    assert kube.requests.count(f"GET /api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log") == 3


def test_changed_afterwards_it_does_not_hold(pod: PodRig, tmp_path: Path) -> None:
    evidence = tmp_path / "ev"
    PodCollection(LocalTransport(pod.root), by_uid(pod.uid), evidence, CollectOptions(memory=False)).execute()
    assert verify(evidence).exit_code == 5
    tar = evidence / f"node/containers/{pod.container}/upper.tar"
    tar.write_bytes(tar.read_bytes().replace(b"changed\n", b"changes\n"))
    (evidence / "node/planted").write_text("x")
    problems = [(problem.where, problem.what) for problem in verify(evidence).problems]
    name = tar.relative_to(evidence).as_posix()
    assert [where for where, _ in problems] == [name, name, "node/planted"]
    assert "recorded is" in problems[0][1]
    assert problems[1][1].startswith("/etc/changed has sha256 "), "verify names the file"
    assert problems[2][1] == "is not in the manifest"


def test_the_wrong_node_is_partial(tmp_path: Path) -> None:
    target = by_uid("11111111-2222-3333-4444-555555555555")
    with pytest.raises(PartialError, match="is it the node that the pod is on"):
        PodCollection(LocalTransport(), target, tmp_path / "ev").execute()
    findings = verify(tmp_path / "ev")
    assert (findings.problems, findings.status, findings.exit_code) == ([], "partial", 4)


def test_over_a_real_sshd(pod: PodRig, tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    with Sshd(pod.root / "run/sshd-rig", chroot=pod.root) as server:
        server.trust(tmp_path / "known")
        target = SshTarget("127.0.0.1", port=server.port, user="root", identity=server.client_key,
                           known_hosts=tmp_path / "known", config=tmp_path / "none")  # fmt: skip
        run = PodCollection(SshTransport(target), by_uid(pod.uid), tmp_path / "ev")
        receipt = run.execute()
    assert receipt["status"] == "complete"
    assert (tmp_path / f"ev/clear/memory/{pod.pid}.core").stat().st_size > 1 << 20
    assert verify(tmp_path / "ev").exit_code == 5


def test_through_a_privileged_pod(pod: PodRig, kube: KubeServer, tmp_path: Path) -> None:
    """The stand-in runs the privileged pod's scripts on this machine; the node's root is the rig's, seen from there."""
    through = PodTransport("node-1", PodOptions(host_pid=True), KubeOptions(str(tmp_path / "kubeconfig")))
    options = CollectOptions(root=f"/proc/{os.getpid()}/root{pod.root}")
    receipt = PodCollection(through, known(pod, tmp_path), tmp_path / "ev", options).execute()
    assert (receipt["status"], receipt["collection"]["processes"]) == ("complete", 3)
    assert HEAP in (tmp_path / f"ev/clear/memory/{pod.pid}.core").read_bytes()
    assert verify(tmp_path / "ev").exit_code == 5
    assert (kube.pods, kube.containers) == ({}, {}), "the privileged pod is gone"
    assert [words for words in map(str, receipt["traces"]) if "PrivilegedContainer" in words]


class Cut(LocalTransport):
    """A node whose stream stops after so many bytes."""

    def __init__(self, root: Path, after: int) -> None:
        super().__init__(root)
        self.left = after

    def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
        outer, inner = self, super().open_stream(script, data=data)

        class Short:
            def read(self, size: int) -> bytes:
                read = inner.read(min(size, outer.left)) if outer.left else b""
                outer.left -= len(read)
                return read

            def wait(self, timeout: float) -> Result:
                inner.close()
                return Result(None, b"", b"")

            def close(self) -> None:
                inner.close()

        return Short()


def test_a_stream_that_is_cut_is_kept_as_partial(pod: PodRig, tmp_path: Path) -> None:
    with pytest.raises(PartialError, match="the stream ended before the collector did"):
        PodCollection(Cut(pod.root, 100_000), by_uid(pod.uid), tmp_path / "ev").execute()
    findings = verify(tmp_path / "ev")
    assert (findings.problems, findings.status) == ([], "partial")
    assert any("the node's last line never came" in line for line in findings.missing)
    assert (tmp_path / "ev/node/processes.jsonl").stat().st_size > 0
    records = [json.loads(line) for line in (tmp_path / "ev/manifest.jsonl").read_bytes().splitlines()]
    assert [row["event"] for row in records][-3:] == ["collection", "verdict", "end"]


def test_refused_before_anything_is_done(pod: PodRig, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("x")
    with pytest.raises(NodeError, match="is not empty"):
        PodCollection(LocalTransport(pod.root), by_uid(pod.uid), tmp_path / "full").execute()
    silent = LocalTransport(pod.root)
    silent.streams = False
    with pytest.raises(NodeError, match="carries no stream"):
        PodCollection(silent, by_uid(pod.uid), tmp_path / "ev").preflight()
    plan = PodCollection(LocalTransport(pod.root), by_uid(pod.uid), tmp_path / "ev").plan()
    assert not [step for step in plan.steps if step.changes]
    assert not (tmp_path / "ev").exists()


def test_a_privileged_pod_is_kept_alive() -> None:
    class Transport:
        kind = "pod"
        ran: list[str] = []  # noqa: RUF012  (of this test alone)

        def run(self, script: str, timeout: float = 60.0) -> Any:
            self.ran.append(script)

    transport: Any = Transport()
    with heartbeat(transport, 0.01):
        end = time.monotonic() + 30
        while not transport.ran and time.monotonic() < end:
            time.sleep(0.01)
    assert transport.ran[0] == ":"
