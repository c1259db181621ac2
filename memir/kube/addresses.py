# SPDX-License-Identifier: Apache-2.0
"""What an address is to a node: one of its pods, itself, another node, a service, an address of AWS, outside."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from memir.kernel import inet6, inetdevice
from memir.kernel.netdevice import Devices
from memir.kernel.pagetable import U64
from memir.kube.owner import Placed

AWS = {
    "169.254.169.254": "instance metadata",
    "fd00:ec2::254": "instance metadata",
    "169.254.170.23": "Pod Identity agent",
    "fd00:ec2::23": "Pod Identity agent",
    "169.254.170.2": "ECS credentials",
    "169.254.169.253": "VPC DNS",
    "fd00:ec2::253": "VPC DNS",
    "169.254.169.123": "NTP",
    "fd00:ec2::123": "NTP",
    "169.254.20.10": "NodeLocal DNS",
}
"""Link-local addresses that mean something on an EC2 instance and in EKS."""


@dataclass(frozen=True, slots=True)
class Remote:
    """kind: pod, node (this one), other node, service, aws, loopback, private, outside, none (any address), or unix.

    name: `namespace/name` of a pod or service, a node's name, what an AWS address serves.
    """

    kind: str | None = None
    name: str | None = None
    pod_uid: str | None = None


@dataclass(frozen=True, slots=True)
class PodAddress:
    """An address of a pod and who says so: interface (in its network namespace) or API."""

    address: str
    pod_uid: str
    witness: str
    net_ns: int | None = None
    interface: str | None = None


class Named(Placed, Protocol):
    """What addresses are told by: memir.kube.ram.RamSource is one."""

    @property
    def name(self) -> str | None:
        """The node's name."""

    @property
    def net_namespaces(self) -> tuple[U64, U64]:
        """(struct net, inum) of every network namespace."""

    @property
    def interfaces(self) -> Devices:
        """Their interfaces, by the namespace's row."""


class Addresses:
    """What addresses are to the node of a source."""

    def __init__(self, source: Named) -> None:
        self._source = source

    @functools.cached_property
    def interfaces(self) -> list[tuple[int, str, str]]:
        """(number of the network namespace, interface, address) of all, IPv4 and IPv6."""
        kernel, every = self._source.kernel, self._source.interfaces
        numbers = self._source.net_namespaces[1][every.net].tolist()
        rows = [*inetdevice.of_devices(kernel, every.device), *inet6.of_devices(kernel, every.device)]
        # an address of zeros is what a page that was not read leaves
        return [(numbers[row], every.name[row] or "", text) for row, text, _ in rows if not _plain(text).is_unspecified]

    @functools.cached_property
    def pods(self) -> list[PodAddress]:
        """Addresses of this node's pods, by the interfaces of their namespaces and by the API; of others by the API."""
        return list(dict.fromkeys([*self._by_interface(), *self._by_api()]))

    def _by_interface(self) -> Iterator[PodAddress]:
        host = self._source.membership.host.get("net", 0)
        # of the namespace of a container's first process: who has joined it since is not the address's owner
        whose = self._source.membership.net_of
        for inum, name, address in self.interfaces:
            plain = _plain(address)
            if inum != host and inum in whose and not (plain.is_loopback or plain.is_link_local):
                yield PodAddress(address, whose[inum], "interface", inum, name)

    def _by_api(self) -> Iterator[PodAddress]:
        cluster = self._source.node.cluster
        every = [*(cluster.pods.values() if cluster is not None else ()), *self._source.node.others]
        for pod in every:
            uid = pod.config_hash if pod.config_hash in self._source.pods else pod.uid
            for address in () if pod.host_network else pod.pod_ips:
                yield PodAddress(address, uid or pod.uid, "API")

    @functools.cached_property
    def _known(self) -> dict[str, Remote]:
        source = self._source
        names: dict[str, Remote] = {}
        cluster = source.node.cluster
        for (kind, namespace, name), body in (cluster.objects if cluster is not None else {}).items():
            spec = body.get("spec") if kind == "Service" else None
            listed = spec.get("clusterIPs") or [spec.get("clusterIP")] if isinstance(spec, dict) else []
            for address in listed if isinstance(listed, list) else []:
                if isinstance(address, str):
                    names[address] = Remote("service", f"{namespace}/{name}")
        for pod in source.node.others:
            if pod.host_ip:
                names[pod.host_ip] = Remote("other node", pod.node)
        api = {pod.uid: f"{pod.namespace}/{pod.name}" for pod in source.node.others}
        for entry in self.pods:
            row = source.pods.get(entry.pod_uid)
            named = f"{row.namespace}/{row.pod_name}" if row is not None and row.pod_name else api.get(entry.pod_uid)
            names[entry.address] = Remote("pod", named, entry.pod_uid)
        host = source.membership.host.get("net", 0)
        own = {address for inum, _, address in self.interfaces if inum == host}
        names |= {address: Remote("node", source.name) for address in own}
        return names | {address: Remote("aws", name) for address, name in AWS.items()}

    @functools.cached_property
    def name(self) -> Callable[[str], Remote]:
        """What the other end of a connection is, by its address as text."""
        return functools.cache(self._name)

    def _name(self, text: str) -> Remote:
        address = _plain(text)
        if address.is_unspecified:
            return Remote()
        if address.is_loopback:
            return Remote("loopback")
        known = self._known.get(str(address))
        if known is not None:
            return known
        if address.is_multicast or str(address) == "255.255.255.255":
            return Remote("multicast")
        return Remote("outside" if address.is_global else "private")


def _plain(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address; an IPv4 one that an IPv6 socket holds is the IPv4 one."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
