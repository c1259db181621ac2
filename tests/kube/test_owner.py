# SPDX-License-Identifier: Apache-2.0
"""Whose is this, asked by everything that something can be asked by, on real images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest

from memir.kernel import page
from memir.kube.owner import NODE, Owner, Owners, sort_owners
from memir.kube.ram import RamSource
from memir.kube.snapshot import load_cluster
from memir.tables.table import OwnerKey
from tests.images import ROOT, case

NodeOf = Callable[[str], RamSource]
IMAGES = ("s-6.1-small", "s-5.10-small-v1", "arm64-6.12-small-lpa2")


@pytest.fixture(params=IMAGES)
def node(request: pytest.FixtureRequest, node_of: NodeOf) -> RamSource:
    return node_of(request.param)


def container(node: RamSource, name: str) -> Owner:
    (row,) = [row for row in node.containers.values() if row.container_name == name]
    return node.owners.container(row.container_id)


def test_every_question_of_a_table_has_its_answer() -> None:
    asked = set(get_args(OwnerKey)) - {"row"}
    assert {name.removeprefix("by_") for name in dir(Owners) if name.startswith("by_")} - {"mount_namespace"} == asked


def test_tasks_and_pids(image: str, node_of: NodeOf) -> None:
    """As the node's own record has containers by their cgroups."""
    node, recorded = node_of(image), case(image).recorded()
    rows = [row for row in node.processes.rows if row.pid in recorded]
    by_task = node.owners.by_task([row.task for row in rows])
    by_pid = node.owners.by_pid(np.array([row.pid for row in rows], np.int32))
    inside = 0
    for at, row in enumerate(rows):
        (owner,) = by_task[at]
        assert by_pid[at] == (owner,) == (node.owners.process(row.pid),)
        named = [part for line in recorded[row.pid].cgroups for part in line.split("/") if owner.container_id and
                 owner.container_id in part]  # fmt: skip
        inside += bool(named)
    assert inside >= len([one for one in node.containers.values() if one.state == "running"])
    assert [len(owners) for owners in (node.owners.by_task([0, 1])[0], node.owners.by_pid([None, 4194303])[1])] == [
        0,
        0,
    ]
    threads = node.processes.threads
    assert [node.owners.by_task(threads.task)[at] for at in range(len(threads))] == [
        node.owners.by_pid(threads.tgid)[at] for at in range(len(threads))
    ]


def test_cgroups_containers_and_pods(node: RamSource) -> None:
    miner = container(node, "miner")
    assert (miner.pod_name, miner.namespace) == ("miner-0", "dev")
    cgroup = node.containers[str(miner.container_id)].cgroup_path
    batch = node.owners.by_cgroup([cgroup, f"{cgroup}/inner", "/", None])
    assert [batch[at] for at in range(4)] == [(miner,), (miner,), (NODE,), ()]
    assert node.owners.cgroup(str(cgroup)) == miner
    batch = node.owners.by_container_id([miner.container_id, "f" * 64, None])
    assert [batch[at] for at in range(3)] == [(miner,), (Owner("f" * 64),), ()]
    batch = node.owners.by_pod_uid([miner.pod_uid, "unknown", None])
    assert [batch[at] for at in range(3)] == [(miner.whole_pod(),), (Owner(pod_uid="unknown"),), ()]
    assert node.owners.pod(str(miner.pod_uid)) == miner.whole_pod()
    assert node.owners.container_named(str(miner.pod_uid), "miner") == miner
    assert node.owners.container_named(str(miner.pod_uid), "other") is None


def test_namespaces(node: RamSource) -> None:
    """A pod's network is all its containers'; the node's own is the node's, whoever has it too."""
    web, sidecar, agent = (container(node, name) for name in ("web", "sidecar", "agent"))
    rows = {node.owners.process(row.pid): row for row in node.processes.rows}
    batch = node.owners.by_namespace([rows[web].namespaces["net"], rows[web].namespaces["mnt"], 7])
    assert {owner.whole_pod() for owner in batch[0]} == {web.whole_pod()}
    assert {web, sidecar} <= set(batch[0])
    assert (batch[1], batch[2]) == ((web,), ())
    host = rows[NODE].namespaces["net"]
    assert NODE in node.owners.by_namespace([host])[0]
    assert node.owners.by_namespace([host]).columns()["pod_uid"].to_pylist() == [None]
    assert agent in {owner for owners in node.owners.by_mount_namespace.values() for owner in owners}


def test_a_node_whose_own_namespace_is_not_known_gives_none_away(node: RamSource) -> None:
    """A pod in the node's network has not got it, though none but its processes' namespaces may be readable."""
    web, agent = (container(node, name) for name in ("web", "agent"))
    its, agents = (node.membership.init[str(of.container_id)].namespaces for of in (web, agent))
    unknown = dataclasses.replace(node.membership, host=node.membership.host | {"net": 0})
    blind: Any = SimpleNamespace(processes=node.processes, membership=unknown)
    owners = Owners(blind)
    owners.__dict__["_processes"] = node.owners._processes
    asked = [agents["net"], its["net"], its["mnt"]]
    batch = owners.by_namespace(asked)
    assert [batch[row] for row in range(3)] == [(), (), (web,)]


def test_what_joins_a_namespace_does_not_share_it(node_of: NodeOf) -> None:
    """miner-0's mount and network namespaces also hold a process of the node and one in the cgroup of web; pods that
    stepped onto the node do not make its namespaces theirs, one that was given them does."""
    node = node_of("s-6.12-intruded")
    miner, web, agent = (container(node, name) for name in ("miner", "web", "agent"))
    first = node.membership.init[str(miner.container_id)]
    mnt, net = first.namespaces["mnt"], first.namespaces["net"]
    inside = {node.owners.process(row.pid) for row in node.processes.rows if row.namespaces["mnt"] == mnt}
    assert {miner, web} <= inside
    batch = node.owners.by_namespace([mnt, net])
    assert batch[0] == (miner,)
    assert {owner.whole_pod() for owner in batch[1]} == {miner.whole_pod()}
    assert [owners for owners in node.owners.by_mount_namespace.values() if miner in owners] == [(miner,)]
    infos = node.file_owners.of(np.unique(page.pages(node.kernel).mapping).tolist()).values()
    assert {(info.path, info.owners) for info in infos if info.path == "/tmp/dropper"} == {("/tmp/dropper", (miner,))}
    host = node.owners.by_namespace([node.membership.host["mnt"], node.membership.host["net"]])
    assert host[0] == (NODE,)
    assert {owner.pod_name for owner in host[1]} == {None, agent.pod_name}


def test_where_no_first_process_is_known_all_that_are_inside_share_it(node_of: NodeOf) -> None:
    node = RamSource(node_of("s-6.12-intruded").kernel)
    miner, web = container(node, "miner"), container(node, "web")
    mnt = node.membership.init.pop(str(miner.container_id)).namespaces["mnt"]
    assert set(node.owners.by_namespace([mnt])[0]) == {miner, web}


def test_files_file_systems_and_pages(node: RamSource) -> None:
    """An inode, its superblock, its pages and their addresses have one answer."""
    pages = page.pages(node.kernel)
    infos = node.file_owners.of(np.unique(pages.mapping).tolist())
    mapping, info = next((at, info) for at, info in infos.items() if info.path == "/tmp/server.log")
    web = container(node, "web")
    assert info.owners == (web,)
    inode = node.kernel.read(np.array([mapping], np.uint64), "address_space", "host").astype(np.uint64)
    batch = node.owners.by_inode([int(inode[0]), 0x1234])
    assert (batch[0], batch[1]) == ((web,), ())
    frames = pages.file_pfn[pages.mapping == np.uint64(mapping)]
    for batch in (node.owners.by_page(frames), node.owners.by_address((frames << np.uint64(12)) + np.uint64(5))):
        assert [batch[at] for at in range(len(frames))] == [(web,)] * len(frames) != []
    tokens = {at: found for at, found in infos.items() if str(found.path).endswith("/token")}
    addresses = np.array(list(tokens), np.uint64)
    inodes = node.kernel.read(addresses, "address_space", "host").astype(np.uint64)
    superblocks = node.kernel.read(inodes, "inode", "i_sb").astype(np.uint64)
    batch = node.owners.by_superblock(superblocks)
    pods = [{owner.pod_name for owner in batch[at]} for at in range(len(batch))]
    assert pods == [{owner.pod_name for owner in found.owners} for found in tokens.values()]
    assert sorted(str(pod) for (pod,) in pods) == ["agent-x9z2k", "miner-0", "web-7d4b9c6f5-abcde"]
    root = next(at for at, found in infos.items() if found.path == "/usr/bin/kubelet")
    inode = node.kernel.read(np.array([root], np.uint64), "address_space", "host").astype(np.uint64)
    batch = node.owners.by_superblock(node.kernel.read(inode, "inode", "i_sb").astype(np.uint64))
    assert batch[0] == (NODE,)
    assert node.owners.by_superblock([0])[0] == ()


def test_anonymous_kernel_and_free_pages(node: RamSource) -> None:
    pages = page.pages(node.kernel)
    every = pages.pfn()
    batch = node.owners.by_page(every[pages.use == page.KERNEL][:50])
    assert {batch[at] for at in range(50)} == {(NODE,)}
    batch = node.owners.by_page(every[pages.use == page.FREE][:50])
    assert {batch[at] for at in range(50)} == {()}
    miner = container(node, "miner")
    secret = next(row for row in node.processes.rows if row.comm == "secretd")
    assert node.owners.process(secret.pid) == miner
    anonymous = node.owners.by_page(every[pages.use == page.ANON])
    people = {owner for at in range(len(anonymous)) for owner in anonymous[at]}
    assert {"miner-0", "web-7d4b9c6f5-abcde", "agent-x9z2k"} <= {owner.pod_name for owner in people}
    assert people <= {node.owners.process(row.pid) for row in node.processes.rows}
    assert sort_owners(people)[0] == NODE


def test_addresses_of_pods(node_of: NodeOf) -> None:
    """As the API gives them; a pod in the node's network has the node's address, which is not its own."""
    clean = node_of("s-6.12-intruded")
    snapshot = load_cluster(ROOT / "samples" / "s-6.12-intruded.pods.json")
    pods = list(snapshot.pods.values())
    own = next(pod for pod in pods if not pod.host_network)
    changed = {
        uid: dataclasses.replace(
            pod, pod_ips=("10.0.0.7", "fd00::7") if pod is own else ("10.9.9.9",), host_network=pod is not own
        )
        for uid, pod in snapshot.pods.items()
    }
    node = RamSource(clean.kernel, dataclasses.replace(snapshot, pods=changed))
    batch = node.owners.by_pod_ip(["10.0.0.7", "fd00::7", "10.9.9.9", None])
    assert [len(batch[at]) for at in range(4)] == [1, 1, 0, 0]
    assert (batch[0], batch[0][0].pod_name, batch[0][0].namespace) == (batch[1], own.name, own.namespace)


def test_a_process_that_nothing_places_is_not_the_nodes(node_of: NodeOf) -> None:
    """Its place is not known: no owner by any question, and the files that it maps are not the node's for that."""
    node = RamSource(node_of("s-6.1-small").kernel)
    rows = node.processes.rows
    secret = next(row for row in rows if row.comm == "secretd")
    shim = next(row for row in rows if row.comm == "kubelet")
    identity = node.identities[rows.index(secret)]
    identity.container_id = identity.pod_uid = identity.in_container = None
    assert node.owners.process(secret.pid) is None
    assert node.owners.by_pid([secret.pid])[0] == node.owners.by_task([secret.task])[0] == ()
    assert node.owners.process(shim.pid) == NODE
