# SPDX-License-Identifier: Apache-2.0
"""What a kubelet says to a checkpoint, in its own words (kubelet 1.34, containerd 1.7 and 2.1), and what memir says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memir.errors import AccessError, MemirError, NodeError
from memir.kubeapi.checkpoint import request_checkpoint
from memir.kubeapi.client import KubeOptions, make_api
from tests.collect.kubelet import CheckpointingServer

GRPC = "checkpointing of shop/web/web failed (rpc error: code = {})"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CheckpointingServer]:
    made = CheckpointingServer()
    made.node = tmp_path
    made.start()
    made.kubeconfig(tmp_path / "kubeconfig")
    yield made
    made.stop()


def ask(tmp_path: Path) -> str:
    return request_checkpoint(make_api(KubeOptions(str(tmp_path / "kubeconfig"))), "node-1", "shop", "web", "web")


def test_the_path_on_the_node(server: CheckpointingServer, tmp_path: Path) -> None:
    assert ask(tmp_path) == "/var/lib/kubelet/checkpoints/checkpoint-web_shop-web-2026-11-29T12:00:00Z.tar"
    assert server.requests == ["POST /api/v1/nodes/node-1/proxy/checkpoint/shop/web/web"]


@pytest.mark.parametrize(
    ("status", "told", "kind", "words"),
    [
        (404, "404 page not found\n", NodeError, "enable the feature gate ContainerCheckpoint"),
        (404, "container web does not exist", NodeError, "not found"),
        (500, GRPC.format("Unimplemented desc = method CheckpointContainer not implemented"), NodeError,
         r"needs CRIU 3\.16 .* EKS's images have no CRIU; .*memir acquire"),
        (500, GRPC.format("Unknown desc = CRIU binary not found or too old (<31600)"), NodeError, "needs CRIU 3.16"),
        (500, GRPC.format("Unknown desc = no space left on device"), NodeError, "failed: .*no space left on device"),
        (403, "forbidden", AccessError, "not allowed to create nodes/proxy"),
    ],
)  # fmt: skip
def test_where_there_is_none(
    server: CheckpointingServer, tmp_path: Path, status: int, told: str, kind: type[MemirError], words: str
) -> None:
    server.says = (status, told)
    with pytest.raises(kind, match=words) as caught:
        ask(tmp_path)
    assert str(caught.value).startswith("node node-1, container web: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", [
    "/etc/shadow", "relative/checkpoints/checkpoint-a.tar", "/var/lib/kubelet/checkpoints/../../../etc/shadow",
    "/a/../checkpoints/checkpoint-x.tar", "/var/lib/kubelet/checkpoints/checkpoint-a b.tar",
])  # fmt: skip
def test_a_path_that_is_none(server: CheckpointingServer, tmp_path: Path, path: str) -> None:
    server.path = path
    with pytest.raises(NodeError, match="is no path of a checkpoint"):
        ask(tmp_path)
