# SPDX-License-Identifier: Apache-2.0
"""The table `routes`."""

from __future__ import annotations

from typing import Any

import numpy as np

from memir.kernel.ip6_fib import ipv6_routes
from memir.kernel.ip_fib import Routes, ipv4_routes
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    net_ns           uint64       network namespace inum
    family           string       inet or inet6
    table            string       main, local, default, or the number of another one that rules lead to
    destination      string       addresses that it is for, with the length of their prefix; 0.0.0.0/0 is all
    type             string       unicast, local, broadcast, multicast, anycast, blackhole, unreachable, prohibit, ...
    gateway          string       address of the next hop; null for what is reached directly
    interface        string       name of the interface that it goes out by
    protocol         string       who made it: kernel, boot, static, ra, dhcp, bird, ...; a number without a name
    scope            string       universe, site, link, host; null for IPv6, which has none
    metric           int64        of two routes to one destination the smaller wins
    preferred        string       source address that it gives to what has none
    from_network     string       IPv6: addresses that a packet has to come from for this route; null: all
    hop              int32        number of the way, of routes that have several
    route            uint64       kernel virtual address of struct fib_alias or fib6_info
    source           string       where the row comes from
""")
_TABLES = {253: "default", 254: "main", 255: "local"}
_TYPES = (None, "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit",
          "throw", "nat")  # fmt: skip
_PROTOCOLS = {
    0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra",
    12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 18: "keepalived", 42: "babel", 99: "openr",
    186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
}  # fmt: skip
_SCOPES = {0: "universe", 200: "site", 253: "link", 254: "host", 255: "nowhere"}


def read(source: RamSource) -> Frame:
    """Routes of every network namespace, by namespace, family, table, destination and metric."""
    net, inum = source.net_namespaces
    names = dict(zip(source.interfaces.device.tolist(), source.interfaces.name, strict=True))
    rows: list[dict[str, Any]] = []
    for family, every in (("inet", ipv4_routes(source.kernel, net)), ("inet6", ipv6_routes(source.kernel, net))):
        rows += _rows(family, every, inum[every.net].tolist(), names)
    keys = ("net_ns", "family", "table", "destination", "metric", "route", "hop")
    rows.sort(key=lambda row: tuple(-1 if row[key] is None else row[key] for key in keys))
    data = {column.name: [row[column.name] for row in rows] for column in COLUMNS}
    return Frame(data, np.array(data["net_ns"], np.uint64))


def _rows(family: str, every: Routes, space: list[int], names: dict[int, str | None]) -> list[dict[str, Any]]:
    fields = {
        "net_ns": space,
        "table": [_TABLES.get(value, str(value)) for value in every.table.tolist()],
        "destination": every.destination,
        "type": [_TYPES[value] if 0 <= value < len(_TYPES) else str(value) for value in every.type.tolist()],
        "gateway": every.gateway,
        "interface": [names.get(device) for device in every.device.tolist()],
        "protocol": [None if value < 0 else _PROTOCOLS.get(value, str(value)) for value in every.protocol.tolist()],
        "scope": [None if value < 0 else _SCOPES.get(value, str(value)) for value in every.scope.tolist()],
        "metric": [None if value < 0 else value for value in every.metric.tolist()],
        "preferred": every.preferred,
        "from_network": every.origin,
        "hop": every.hop.tolist(),
        "route": every.route.tolist(),
    }
    made = "fib_alias" if family == "inet" else "fib6_info"
    parts = zip(*fields.values(), strict=True)
    return [{**dict(zip(fields, part, strict=True)), "family": family, "source": made} for part in parts]


TABLE = Table("routes", "Routes of every network namespace, all tables.", COLUMNS, "namespace", {"ram": read})
