# SPDX-License-Identifier: Apache-2.0
"""Whose memory this is: the node by what it knows of itself, and which part of a cluster's pods are its own.

A snapshot of the API holds all nodes' pods. Which node this is memory tells: pods that ran here, machine and boot id,
provider id, the kubelet's arguments, the host name. Nothing is taken from the snapshot that memory does not confirm.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from memir.gaps import Gaps
from memir.kernel import dmi, fs, inetdevice, random, timekeeping
from memir.kernel.engine import Kernel
from memir.kernel.mount import Mounts
from memir.kernel.pagemap import file_pages
from memir.kernel.space import u64
from memir.kube.cgroups import parse_cgroup
from memir.kube.claims import NODE, Claims
from memir.kube.kubelet import kubelet_options
from memir.kube.processes import Process, ProcessList
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import ApiNode, ApiPod, ClusterSnapshot

if TYPE_CHECKING:
    from memir.kube.containers import Container

_MACHINE_ID = b"/etc/machine-id"
_SECOND = 1_000_000_000
_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What memory says of its node; None is not known.

    kubelet_name: of --hostname-override. addresses: IPv4, of the node's own network namespace, loopback's left out.
    machine_id: /etc/machine-id. system_uuid, asset_tag: of the firmware (the tag is the instance id on EC2).
    clock, booted: ns since 1970 UTC at which the memory was taken, and the kernel began.
    """

    hostname: str | None = None
    kubelet_name: str | None = None
    addresses: tuple[str, ...] = ()
    machine_id: str | None = None
    boot_id: str | None = None
    system_uuid: str | None = None
    provider_id: str | None = None
    asset_tag: str | None = None
    clock: int | None = None
    booted: int | None = None


@dataclass(frozen=True, slots=True)
class NodeMatch:
    """A node and the part of a cluster's snapshot that is its own.

    name: the node's. cluster: with this node's pods only, None if there is no snapshot or it is another cluster's.
    node: its Node object. others: pods of other nodes (and of none yet), for the other ends of connections.
    """

    name: str | None
    cluster: ClusterSnapshot | None = None
    node: ApiNode | None = None
    others: tuple[ApiPod, ...] = ()


def node_facts(kernel: Kernel, listed: ProcessList, mounts: Mounts) -> NodeFacts:
    """Read what the node knows of itself."""
    first = next((number for number, row in enumerate(listed.rows) if row.pid == 1), None)
    init = listed.rows[first] if first is not None else None
    kubelet = kubelet_options(listed.rows)
    firmware = dmi.identifiers(kernel)
    boot, now = timekeeping.clocks(kernel)
    task = u64(int(listed.living[first])) if first is not None else np.zeros(0, np.uint64)
    return NodeFacts(
        hostname=init.hostname if init else None,
        kubelet_name=kubelet.get("hostname-override"),
        addresses=_addresses(kernel, task),
        machine_id=_machine_id(kernel, task, mounts),
        boot_id=random.boot_id(kernel),
        system_uuid=_hex(firmware.get("product_uuid")),
        provider_id=kubelet.get("provider-id"),
        asset_tag=firmware.get("board_asset_tag"),
        clock=boot + now if boot is not None else None,
        booted=boot,
    )


def _addresses(kernel: Kernel, task: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> tuple[str, ...]:
    proxies = kernel.pointer(task, "task_struct", "nsproxy")
    net = kernel.pointer(proxies[proxies != 0], "nsproxy", "net_ns")
    rows = inetdevice.ipv4_addresses(kernel, net[net != 0])
    return tuple(dict.fromkeys(address for _, _, address in rows if not address.startswith("127.")))


def _machine_id(kernel: Kernel, task: np.ndarray[tuple[int], np.dtype[np.uint64]], mounts: Mounts) -> str | None:
    """32 hex digits of /etc/machine-id on the root file system of process 1; None where it is not in page cache."""
    of = kernel.pointer(task, "task_struct", "fs")
    mount = kernel.pointer(of[of != 0], "fs_struct", "root.mnt")
    superblock = kernel.pointer(mount[mount != 0], "vfsmount", "mnt_sb")
    _, dentry = fs.tree(kernel, superblock, depth=2)
    mounts.dentries.load(dentry)
    dentry = dentry[[mounts.dentries.path(address) == _MACHINE_ID for address in dentry.tolist()]]
    inode = kernel.pointer(dentry, "dentry", "d_inode")
    for pages in file_pages(kernel, inode[inode != 0], 4096):
        if pages and pages[0] is not None:
            return _hex(pages[0][:33].decode("ascii", "replace").strip("\0\n"))
    return None


def _hex(text: str | None) -> str | None:
    """An id as 32 hex digits: with or without dashes the same; None for what is none."""
    digits = (text or "").replace("-", "").strip().lower()
    return digits if len(digits) == 32 and set(digits) <= set("0123456789abcdef") and set(digits) != {"0"} else None


def _instance_id(text: str | None) -> str | None:
    """The EC2 instance's id that a text is or ends with: `i-0abc...`, `aws:///zone/i-0abc...`."""
    ident = (text or "").rpartition("/")[2].strip().lower()
    return ident if _INSTANCE.fullmatch(ident) else None


def pods_in_memory(rows: Iterable[Process], files: RuntimeFiles) -> set[str]:
    """UIDs of the pods that cgroups, specs and runtime states of the node name."""
    paths = {path for row in rows if (path := row.cgroup_path)}
    cgroups = {ids.pod_uid for path in paths if (ids := parse_cgroup(path)) is not None and ids.pod_uid}
    specs = {spec.pod_uid for spec in files.specs.values() if spec.pod_uid}
    return cgroups | specs | {state.names.pod_uid for state in files.states.values() if state.names.pod_uid}


def match_node(
    facts: NodeFacts, uids: Collection[str], cluster: ClusterSnapshot | None, claims: Claims, gaps: Gaps
) -> NodeMatch:
    """Which node of a cluster this is, and which pods are its own.

    uids: UIDs (of static pods: configuration hashes) of the pods that memory itself shows, the API's not among them.
    A snapshot with none of these, and no Node object with an id of this machine, is another cluster's: it is not
    joined, and a gap says so.
    """
    claims.add(NODE, "name", facts.kubelet_name, "kubelet")
    claims.add(NODE, "name", facts.hostname, "hostname")
    claims.add(NODE, "instance_id", _instance_id(facts.asset_tag), "firmware")
    claims.add(NODE, "instance_id", _instance_id(facts.provider_id), "kubelet")
    if cluster is None:
        return NodeMatch(claims.text(NODE, "name"))
    for place, why in cluster.skipped:
        gaps.add("cluster snapshot", place, why)
    shared = [pod for pod in cluster.pods.values() if pod.uid in uids or pod.config_hash in uids]
    node = _same_machine(facts, cluster.nodes.values())
    where = cluster.files[0] if cluster.files else "the cluster's snapshot"
    if not shared and node is None:
        why = "of another cluster: no pod in common, no Node with this machine, boot or provider id; not joined"
        gaps.add("cluster snapshot", where, why, len(cluster.pods))
        return NodeMatch(claims.text(NODE, "name"))
    places = Counter(pod.node for pod in shared if pod.node)
    claims.add(NODE, "name", node.name if node else places.most_common(1)[0][0] if places else None, "API")
    name = claims.text(NODE, "name")
    node = node or cluster.nodes.get(name or "")
    claims.add(NODE, "instance_id", _instance_id(node.provider_id if node else None), "API")
    ours = {pod.uid for pod in shared} | {pod.uid for pod in cluster.pods.values() if pod.node == name}
    others = tuple(pod for uid, pod in cluster.pods.items() if uid not in ours)
    return NodeMatch(name, cluster.only(ours), node, others)


def _same_machine(facts: NodeFacts, nodes: Iterable[ApiNode]) -> ApiNode | None:
    """The Node object with an id of this machine: boot id first, which no two boots share."""
    candidates = list(nodes)
    for ours, theirs in (
        (_hex(facts.boot_id), lambda node: _hex(node.boot_id)),
        (facts.provider_id, lambda node: node.provider_id),
        (facts.asset_tag, lambda node: node.instance_id),
        (_hex(facts.machine_id), lambda node: _hex(node.machine_id)),
        (_hex(facts.system_uuid), lambda node: _hex(node.system_uuid)),
    ):
        same = [node for node in candidates if ours and theirs(node) == ours]
        if len(same) == 1:  # machines cloned from one image share a machine id: that is nobody's
            return same[0]
    return None


def compare_times(
    containers: Mapping[str, Container],
    started: Mapping[str, int],
    cluster: ClusterSnapshot | None,
    clock: int | None,
    gaps: Gaps,
    booted: int | None = None,
) -> None:
    """Say where a snapshot was taken at another time than the memory, or its times cannot be; it is joined anyway.

    booted: when the kernel began, ns since 1970 UTC: what runs began later.
    started: start of containers' first processes by container id, ns since 1970 UTC. Later: a container runs there that
    began after the memory's clock. Earlier: one runs here that began after everything the snapshot tells of.
    """
    if cluster is None or clock is None:
        return
    where = cluster.files[0] if cluster.files else "the cluster's snapshot"
    running = [
        container for pod in cluster.pods.values() for container in pod.containers if container.state == "running"
    ]
    unseen = [
        container
        for container in running
        if (row := containers.get(container.container_id or "")) is None or row.seen_in == "api"
    ]
    later = [container for container in unseen if container.started_at and _ns(container.started_at) > clock]
    gaps.add(
        "cluster snapshot", where, "taken later than the memory: containers run in it that began after", len(later)
    )
    newest = max((_ns(moment) for moment in _moments(cluster)), default=None)
    known = cluster.containers
    earlier = [
        ident for ident, row in containers.items()
        if row.state == "running" and row.kind != "sandbox" and row.pod_uid and ident not in known
        and newest is not None and started.get(ident, 0) > newest + _SECOND
    ]  # fmt: skip
    why = "taken earlier than the memory: containers run here that began after it"
    gaps.add("cluster snapshot", where, why, len(earlier))
    too_early = [
        container for container in running
        if booted is not None and container.started_at and _ns(container.started_at) < booted
        and (row := containers.get(container.container_id or "")) is not None and row.state == "running"
    ]  # fmt: skip
    why = "starts of containers that run lie before the kernel's boot: those of their first processes are taken"
    gaps.add("cluster snapshot", where, why, len(too_early))


def _moments(cluster: ClusterSnapshot) -> Sequence[datetime]:
    """Every time that the pods of a snapshot tell."""
    pods = cluster.pods.values()
    of_pods = [moment for pod in pods for moment in (pod.created_at, pod.started_at)]
    of_containers = [
        moment
        for pod in pods
        for container in pod.containers
        for moment in (container.started_at, container.finished_at)
    ]
    return [moment for moment in (*of_pods, *of_containers) if moment is not None]


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000
