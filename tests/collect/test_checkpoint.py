# SPDX-License-Identifier: Apache-2.0
"""A collection with the kubelet's checkpoint: stored, removed from the node, readable; and where it fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import memir
from memir.acquire.transports.base import Result
from memir.acquire.transports.local import LocalTransport
from memir.collect.checkpoint import STEP, Checkpoints, take
from memir.collect.folder import Folder
from memir.collect.run import CollectOptions, PodCollection
from memir.collect.stream import Received
from memir.collect.target import Target, by_api
from memir.errors import ConnectError, PartialError
from memir.evidence.custody import Manifest
from memir.evidence.pod_receipt import pod_receipt_of
from memir.evidence.verify import verify
from memir.kubeapi.client import KubeOptions, make_api
from tests.checkpoint.sample import archive
from tests.collect.kubelet import CHECKPOINTS, CheckpointingServer
from tests.collect.podrig import PodRig

OPTIONS = CollectOptions(memory=False, checkpoint=True)


@pytest.fixture
def server(pod: PodRig, tmp_path: Path) -> Iterator[CheckpointingServer]:
    made = CheckpointingServer()
    made.node = pod.root
    made.recorded[f"{pod.namespace}/{pod.name}"] = pod.document()
    made.load([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}])
    for previous in (False, True):
        made.logs[f"{pod.namespace}/{pod.name}", "web", previous] = b"x\n"
    made.start()
    made.kubeconfig(tmp_path / "kubeconfig")
    yield made
    made.stop()
    shutil.rmtree(pod.root / "var/lib/kubelet", ignore_errors=True)


def target_of(pod: PodRig, tmp_path: Path) -> Target:
    return by_api(make_api(KubeOptions(str(tmp_path / "kubeconfig"))), f"{pod.namespace}/{pod.name}")


def test_stored_removed_and_analyzed(server: CheckpointingServer, pod: PodRig, tmp_path: Path) -> None:
    evidence = tmp_path / "ev"
    run = PodCollection(LocalTransport(pod.root), target_of(pod, tmp_path), evidence, OPTIONS)
    assert STEP in run.plan().steps
    receipt = run.execute()
    assert (receipt["status"], receipt["left_on_node"]) == ("complete", [])
    stored = evidence / "clear/checkpoints/web.tar"
    assert stored.read_bytes() == archive().read_bytes()
    assert list((pod.root / CHECKPOINTS).iterdir()) == [], "it is removed from the node"
    posted = [line for line in server.requests if line.startswith("POST")]
    name = f"{pod.namespace}/{pod.name}"
    assert posted == [f"POST /api/v1/nodes/node-1/proxy/checkpoint/{name}/web"], "the init container has ended"
    findings = verify(evidence)
    assert (findings.problems, findings.status) == ([], "complete")
    with memir.open(stored) as node:
        assert len(node["processes"].to_arrow()) > 0


def test_what_cannot_be_is_partial_and_all_else_is_kept(
    server: CheckpointingServer, pod: PodRig, tmp_path: Path
) -> None:
    server.says = (404, "404 page not found\n")
    with pytest.raises(PartialError, match=r"checkpoint web: node node-1, .* enable the feature gate"):
        PodCollection(LocalTransport(pod.root), target_of(pod, tmp_path), tmp_path / "ev", OPTIONS).execute()
    receipt = pod_receipt_of(tmp_path / "ev")
    assert receipt is not None
    assert (receipt.status, receipt.left_on_node, len(receipt.missing)) == ("partial", (), 1)
    assert (tmp_path / f"ev/node/containers/{pod.container}/upper.tar").is_file()


def test_what_does_not_arrive_stays_and_is_told(server: CheckpointingServer, pod: PodRig, tmp_path: Path) -> None:
    target = target_of(pod, tmp_path)
    folder = Folder(tmp_path, Manifest(tmp_path))
    out = Checkpoints()

    def cut(archives: dict[str, str]) -> Received:
        raise ConnectError(f"cut in {archives['web']}")

    with pytest.raises(ConnectError, match="cut in /var/lib/kubelet/checkpoints/checkpoint-web"):
        take(target, LocalTransport(pod.root), folder, "", cut, out)
    (left,) = out.left
    assert left.endswith("the kubelet's checkpoint of web (it did not arrive whole, so it was left)")
    (archived,) = (pod.root / CHECKPOINTS).iterdir()
    assert left.startswith(f"/{archived.relative_to(pod.root)}: ")

    class Stuck(LocalTransport):
        def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
            return Result(1, b"", b"rm: Read-only file system\n")

    folder.add("clear/checkpoints/web.tar", b"x")
    out = Checkpoints()
    take(target, Stuck(pod.root), folder, "", lambda _: Received(sent=1), out)
    assert out.left[0].endswith("(rm: Read-only file system)")
    archived.unlink()
    nowhere = tmp_path / "nowhere"
    nowhere.write_text((tmp_path / "kubeconfig").read_text().replace(server.endpoint, "http://127.0.0.1:9"))
    nobody = make_api(KubeOptions(str(nowhere)))
    out = Checkpoints()
    assert take(replace(target, api=nobody), LocalTransport(pod.root), folder, "", cut, out).sent == 0
    assert out.left == ["maybe an archive of web in the kubelet's folder checkpoints/: it gave no answer"]
    assert [gap.missing for gap in out.gaps] == [True]
