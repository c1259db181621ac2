# SPDX-License-Identifier: Apache-2.0
"""Whose memory this is, by memory alone; and what a snapshot of one's own, another or an older cluster adds."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kube.apiobjects import ApiContainer, ApiNode, ApiPod
from memir.kube.claims import NODE, Claims
from memir.kube.containers import Container
from memir.kube.node_identity import NodeFacts, NodeMatch, compare_times, match_node, node_facts, pods_in_memory
from memir.kube.ram import RamSource
from memir.kube.snapshot import ClusterSnapshot, load_cluster
from memir.symbols.locate import locate
from memir.tables.table import read_tables
from tests.images import case

SHAPES = Path(__file__).parent / "data" / "shapes"
DATA = Path(__file__).parent / "data" / "cluster"
NAME = "ip-10-0-1-23.eu-west-1.compute.internal"
MINER = "bbbbbbbb-2222-4222-8222-0123456789ab"


@functools.cache
def small() -> Kernel:
    memory = case("s-6.1-small").open()
    return Kernel(memory, locate(memory))


def source(cluster: ClusterSnapshot | None) -> RamSource:
    kernel = small()
    return RamSource(Kernel(kernel.memory, kernel.anchors), cluster)


def rows(node: RamSource, name: str) -> list[dict[str, Any]]:
    return read_tables(node, [name])[name].rows()


def said(node: RamSource) -> list[tuple[str, int]]:
    return [(gap.why, gap.count) for gap in node.gaps if gap.kind == "cluster snapshot"]


def test_snapshot_of_all_nodes() -> None:
    """`kubectl get pods -A` lists every node's pods: this node keeps its name and its three."""
    node = source(load_cluster(SHAPES / "two-nodes.pods.json"))
    pods = rows(node, "pods")
    assert node.name == NAME
    assert {(pod["pod_name"], pod["node"], pod["seen_in"]) for pod in pods} == {
        ("miner-0", NAME, "both"),
        ("agent-x9z2k", NAME, "ram"),
        ("web-7d4b9c6f5-abcde", NAME, "ram"),
    }
    assert {row["seen_in"] for row in rows(node, "containers")} == {"ram", "both"}
    assert [(row["pod_name"], row["node"]) for row in rows(node, "api_pods")] == [("x-0", "node-b"), ("y-0", "node-b")]


def changed(text: str) -> ClusterSnapshot:
    snapshot = load_cluster(SHAPES / "two-nodes.pods.json")
    pod = snapshot.pods[MINER]
    return replace(snapshot, pods={text: replace(pod, uid=text, containers=())}, containers={})


def test_another_cluster() -> None:
    """The same names, and no pod in common: nothing is joined, and that is said."""
    node = source(changed("99999999-2222-4222-8222-0123456789ab"))
    assert [pod["seen_in"] for pod in rows(node, "pods")] == ["ram"] * 3
    assert rows(node, "api_pods") == []
    assert node.name == NAME
    assert said(node) == [
        ("of another cluster: no pod in common, no Node with this machine, boot or provider id; not joined", 1)
    ]


def test_without_a_snapshot() -> None:
    node = source(None)
    assert (node.name, node.node, said(node)) == (NAME, NodeMatch(NAME), [])
    assert pods_in_memory(node.processes.rows, node.files) == {
        "aaaaaaaa-1111-4111-8111-0123456789ab",
        MINER,
        "cccccccc-3333-4333-8333-0123456789ab",
    }


def test_what_a_node_knows_of_itself(image: str, node_of: Callable[[str], RamSource]) -> None:
    node = node_of(image)
    facts = node_facts(node.kernel, node.processes, node.mounts)
    assert facts == node.facts
    assert facts.clock is not None
    assert all(row.start < facts.clock for row in node.processes.rows if row.start is not None)
    claims = {(claim.witness, claim.value) for claim in node.claims if claim.subject == NODE}
    if not image.startswith("node-"):
        assert (facts.hostname, facts.kubelet_name, facts.provider_id, facts.boot_id) == (NAME, None, None, None)
        assert claims == {("hostname", NAME)}
        return
    cluster = load_cluster(DATA)
    (api,) = cluster.nodes.values()
    assert (facts.kubelet_name, facts.provider_id, facts.boot_id) == (api.name, api.provider_id, api.boot_id)
    assert set(api.addresses) & set(facts.addresses)
    assert facts.machine_id in (None, api.machine_id)
    assert ("kubelet", api.name) in claims
    # its Node object alone is enough: of a snapshot taken when all pods were others
    strangers = {"x": ApiPod("x", "late-0", "shop", api.name), "y": ApiPod("y", "far-0", "shop", "node-b")}
    later = match_node(facts, set(), replace(cluster, pods=strangers, containers={}), Claims(), Gaps())
    assert (later.name, later.node, [pod.name for pod in later.others]) == (api.name, api, ["far-0"])


def pod(uid: str, node: str | None, **more: Any) -> ApiPod:
    return ApiPod(uid, f"pod-{uid}", "shop", node, **more)


def cluster_of(*pods: ApiPod, nodes: tuple[ApiNode, ...] = ()) -> ClusterSnapshot:
    return ClusterSnapshot({one.uid: one for one in pods}, {}, {one.name: one for one in nodes}, {}, ("pods.json",))


IDS = {
    "boot_id": "319dfc7f-4434-4631-aab0-0be42fea5ea2",
    "provider_id": "aws:///eu-west-1a/i-0abc1234def567890",
    "machine_id": "69dfcd0dd9f24d708bd88939677eb51f",
    "system_uuid": "EC2A1B2C-0000-4000-8000-0123456789AB",
}


@pytest.mark.parametrize("known", sorted(IDS))
def test_a_node_object_by_each_of_its_ids(known: str) -> None:
    ours: dict[str, Any] = {known: IDS[known]}
    theirs: dict[str, Any] = {known: IDS[known].replace("-", "").lower() if known == "system_uuid" else IDS[known]}
    facts = NodeFacts(hostname="host", **ours)
    nodes = (ApiNode("mine", **theirs), ApiNode("other", boot_id="0" * 32))
    match = match_node(facts, set(), cluster_of(pod("a", "mine"), pod("b", "other"), nodes=nodes), Claims(), Gaps())
    assert match.name == "mine"
    assert match.cluster is not None
    assert set(match.cluster.pods) == {"a"}
    assert [one.uid for one in match.others] == ["b"]


def test_instance_id_of_the_firmware() -> None:
    facts = NodeFacts(hostname="host", asset_tag="i-0abc1234def567890")
    nodes = (ApiNode("mine", instance_id="i-0abc1234def567890"),)
    assert match_node(facts, set(), cluster_of(nodes=nodes), Claims(), Gaps()).name == "mine"


@pytest.mark.parametrize(
    ("facts", "instance", "witness"),
    [
        (NodeFacts(asset_tag="i-0abc1234def567890"), "i-0abc1234def567890", "firmware"),
        (NodeFacts(provider_id=IDS["provider_id"]), "i-0abc1234def567890", "kubelet"),
        (NodeFacts(asset_tag="No Asset Tag", provider_id="kind://docker/kind/node"), None, ""),
    ],
)
def test_the_instance_is_claimed(facts: NodeFacts, instance: str | None, witness: str) -> None:
    claims = Claims()
    match_node(facts, set(), None, claims, Gaps())
    assert claims.text(NODE, "instance_id") == instance
    assert [claim.witness for claim in claims if claim.field == "instance_id"] == ([witness] if witness else [])


def test_machines_cloned_from_one_image() -> None:
    """A machine id that two Node objects have is nobody's."""
    facts = NodeFacts(hostname="host", machine_id=IDS["machine_id"])
    nodes = tuple(ApiNode(name, machine_id=IDS["machine_id"]) for name in ("a", "b"))
    gaps = Gaps()
    match = match_node(facts, set(), cluster_of(pod("x", "a"), nodes=nodes), Claims(), gaps)
    assert (match.name, match.cluster, gaps.total) == ("host", None, 1)


def test_a_pod_that_memory_shows_but_the_api_places_elsewhere() -> None:
    """It ran here, whatever the API says: it stays this node's, and so do the pods of its name."""
    pods = (pod("a", "mine"), pod("b", "mine"), pod("c", "far"), pod("d", "far"), pod("e", "far"), pod("f", None))
    match = match_node(NodeFacts(hostname="h"), {"a", "b", "c"}, cluster_of(*pods), Claims(), Gaps())
    assert match.name == "mine"
    assert match.cluster is not None
    assert set(match.cluster.pods) == {"a", "b", "c"}
    assert [one.uid for one in match.others] == ["d", "e", "f"]


def test_static_pod_by_its_hash() -> None:
    match = match_node(NodeFacts(), {"f" * 32}, cluster_of(pod("a", "mine", config_hash="f" * 32)), Claims(), Gaps())
    assert match.name == "mine"


CLOCK = 1_800_000_000_000_000_000


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(CLOCK // 10**9 + seconds, UTC)


def times(api: ApiContainer, ram: Container | None, started: int) -> list[str]:
    gaps = Gaps()
    containers = {ram.container_id: ram} if ram else {}
    snapshot = cluster_of(pod("a", "mine", containers=(api,)))
    compare_times(containers, {"r": CLOCK + started * 10**9}, snapshot, CLOCK, gaps)
    return [gap.why for gap in gaps]


RUNNING = ApiContainer("web", "container", "c", ("c",), state="running", started_at=at(-500))


def test_snapshot_of_another_time() -> None:
    here = Container("r", kind="container", pod_uid="a", state="running")
    later = replace(RUNNING, started_at=at(60))
    assert times(later, None, 0) == ["taken later than the memory: containers run in it that began after"]
    assert times(RUNNING, here, -60) == ["taken earlier than the memory: containers run here that began after it"]
    # both began before: one may have ended, or hide; the times say nothing
    assert times(RUNNING, None, 0) == []
    assert times(RUNNING, here, -900) == []
    # a sandbox is no container of the API's, one outside Kubernetes is none either
    assert times(RUNNING, replace(here, kind="sandbox"), -60) == []
    assert times(RUNNING, replace(here, pod_uid=None), -60) == []


def test_starts_before_the_kernels_boot() -> None:
    """No container that runs began before its kernel; one that has ended may be of an earlier boot."""
    why = "starts of containers that run lie before the kernel's boot: those of their first processes are taken"
    for state, booted, reasons in (("running", -400, [why]), ("running", -600, []), ("exited", -400, [])):
        snapshot = cluster_of(pod("a", "mine", containers=(RUNNING,)))
        gaps, row = Gaps(), Container("c", kind="container", pod_uid="a", state=state)
        compare_times({"c": row}, {}, snapshot, CLOCK, gaps, CLOCK + booted * 10**9)
        assert [gap.why for gap in gaps if "boot" in gap.why] == reasons


def test_what_a_snapshot_skipped_is_counted(tmp_path: Path) -> None:
    (tmp_path / "pods.json").write_bytes((SHAPES / "bare-id.json").read_bytes())
    (tmp_path / "x.json").write_text(json.dumps({"a": 1}))
    node = source(load_cluster(tmp_path))
    assert node.name == NAME
    assert sorted(said(node))[0][0].endswith("is not <runtime>://<id>")
    assert ("no Kubernetes objects", 1) in said(node)
