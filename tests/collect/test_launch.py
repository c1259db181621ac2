# SPDX-License-Identifier: Apache-2.0
"""From options to a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.acquire.launch import connection_of
from memir.collect.launch import (
    check,
    folder_of,
    instance_for,
    options_of,
    over_ssm,
    passage_of,
    prepare,
    store_of,
    target_of,
    transport_of,
)
from memir.collect.over_ssm import SsmStreams
from memir.collect.run import CollectOptions
from memir.collect.settings import Settings
from memir.errors import NodeError, UsageError
from tests.acquire.rigs.kube import KubeServer
from tests.collect.podrig import PodRig

UID = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"transport": "ssm"}, "pass --spool s3://BUCKET/PREFIX, or .* with --to. Without a bucket: --transport pod"),
        ({"transport": "ssm", "spool": "here"}, "--spool 'here' is no S3 address"),
        ({"transport": "ssm", "spool": "s3://abc/x", "uid": UID}, "pass --instance-id too"),
        ({"instance_id": "i-1"}, "are of --transport ssm, not of pod"),
        ({"transport": "smoke"}, "write pod, ssh, local, ssm"),
        ({"transport": "ssh"}, "pass --host USER@HOST"), ({"host": "n"}, "--host is of --transport ssh"),
        ({"uid": UID}, "pass --node too"), ({"to": "ev"}, "is no S3 address: write s3://BUCKET/PREFIX"),
        ({"uid": UID, "node": "n", "checkpoint": True}, "--checkpoint asks the kubelet .*: leave one out"),
        ({"output": "s3://abc/x", "to": "s3://abc/y"}, "give the S3 address once"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check(Settings(**{"name": "shop/web", "output": "ev", **settings}))  # type: ignore[arg-type]


def test_transports(tmp_path: Path) -> None:
    over = Settings("shop/web", str(tmp_path), transport="ssh", uid=UID, host="root@n:2222")
    target = target_of(over)
    assert transport_of(over, target).kind == "ssh"
    assert transport_of(Settings("shop/web", str(tmp_path), transport="local"), target).kind == "local"
    assert options_of(Settings("shop/web", "ev", memory=False, case="C"), ["memir"]) == CollectOptions(
        memory=False, case="C", command=["memir"]
    )
    through = prepare(Settings("shop/web", str(tmp_path), uid=UID, node="node-7", max_size="2G", case="C"))
    assert (through.transport.kind, through.options.root, through.options.max_size) == ("pod", "/proc/1/root", 2 << 30)
    assert through.transport.node == "node-7"  # type: ignore[attr-defined]
    assert through.transport.options.host_pid  # type: ignore[attr-defined]
    assert (through.target.pod.asked_api, through.target.pod.uid) == (False, UID)


def test_the_node_is_the_one_that_the_api_says(pod: PodRig, kube: KubeServer, tmp_path: Path) -> None:
    name = f"{pod.namespace}/{pod.name}"
    run = prepare(Settings(name, str(tmp_path / "ev"), kubeconfig=str(tmp_path / "kubeconfig")))
    assert run.transport.node == "node-1"  # type: ignore[attr-defined]
    assert run.target.ids == (pod.container,)
    assert kube.requests == [f"GET /api/v1/namespaces/{pod.namespace}/pods/{pod.name}"]


def test_over_ssm_the_instance_is_the_node_s(pod: PodRig, kube: KubeServer, aws: None, tmp_path: Path) -> None:
    (node,) = kube.objects["/api/v1/nodes"]
    node["spec"] = {"providerID": "aws:///eu-west-1a/i-0123456789abcdef0"}
    over = Settings(
        f"{pod.namespace}/{pod.name}", str(tmp_path / "ev"), transport="ssm", kubeconfig=str(tmp_path / "kubeconfig"),
        spool="s3://abc/passage", region="eu-west-1", kms_key="alias/k", bucket_owner="123456789012",
    )  # fmt: skip
    way = prepare(over).transport
    assert isinstance(way, SsmStreams)
    assert way.inner.instance_id == "i-0123456789abcdef0"  # type: ignore[attr-defined]
    assert (way.spool.url("x"), way.options.kms_key) == ("s3://abc/passage/x", "alias/k")
    assert way.options.connection == connection_of(over)
    assert (connection_of(over).region, connection_of(over).owner) == ("eu-west-1", "123456789012")
    with_files = Settings("shop/web", "s3://abc/ir-7", transport="ssm", instance_id="i-1", uid=UID)
    assert passage_of(with_files) == "s3://abc/ir-7"
    check(with_files)
    node["metadata"]["labels"] = {"eks.amazonaws.com/compute-type": "auto"}
    with pytest.raises(NodeError, match=r"node node-1 is EKS Auto Mode's, .*: use --transport pod"):
        instance_for(target_of(over))
    assert over_ssm(over, "i-2").inner.instance_id == "i-2"  # type: ignore[attr-defined]


def test_where_it_goes(tmp_path: Path) -> None:
    target = target_of(Settings("shop/web", "ev", uid=UID))
    plain = Settings("shop/web", str(tmp_path))
    assert (folder_of(plain, target), store_of(plain, tmp_path)) == (tmp_path, None)
    both = Settings("shop/web", "ev/web", to="s3://abc/ir-7/", object_lock="GOVERNANCE:3", region="eu-west-1")
    store = store_of(both, folder_of(both, target))
    assert store is not None
    assert (store.where, store.options.lock_mode, store.options.lock_days) == ("s3://abc/ir-7/web", "GOVERNANCE", 3)
    alone = Settings("shop/web", "s3://abc/ir-7")
    folder = folder_of(alone, target)
    assert folder.name.startswith("memir-shop-web-2")
    assert store_of(alone, folder).where == f"s3://abc/ir-7/{folder.name}"  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="write GOVERNANCE:DAYS or COMPLIANCE:DAYS"):
        store_of(Settings("shop/web", "s3://abc/x", object_lock="MAYBE"), folder)
