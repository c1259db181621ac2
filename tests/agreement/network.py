# SPDX-License-Identifier: Apache-2.0
"""Sockets, interfaces, routes, connections and addresses of pods, as /proc/net and the API told them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from memir.kube.ram import RamSource
from tests.agreement.compare import MEMIR_ALONE, TRUTH_ALONE, Key, Row, Rows, Told, keyed
from tests.images import case
from tests.tables import test_interfaces, test_routes, test_sockets
from tests.tables.test_conntrack import NODES, connected, unmapped

_ENDS = ("local", "local_port", "remote", "remote_port")
_REST = ("state", "rx_queue", "tx_queue", "uid")
_KINDS = {1: "stream", 2: "dgram", 5: "seqpacket"}


def _ip(ns: int, name: str, values: tuple[Any, ...]) -> tuple[Key, Row]:
    """Key and columns of a line: a namespace, a file, both ends and the inode; the rest are columns."""
    *ends, state, rx, tx, uid, inode = values
    return (ns, name, *ends, inode), dict(zip(_REST, (state, rx, tx, uid), strict=True))


def sockets(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    every: list[tuple[Key, Row]] = []
    mine: list[tuple[Key, Row]] = []
    unix: list[tuple[Key, Row]] = []
    unix_mine: list[tuple[Key, Row]] = []
    shown = rows("sockets")
    for ns, files in test_sockets.recorded(image).items():
        for name, lines in files.items():
            if name == "unix":
                for parts in (line.split() for line in lines):
                    path = " ".join(parts[7:]) or None
                    unix.append(((ns, int(parts[6])), {"type": _KINDS[int(parts[4], 16)], "local": path}))
                unix_mine += [((ns, row["inode"]), row) for row in test_sockets.live(shown, ns, "unix", "unix")]
                continue
            table, family = name.removesuffix("6"), "inet6" if name.endswith("6") else "inet"
            every += [_ip(ns, name, test_sockets.of_ip(line)) for line in lines if line.strip()]
            mine += [_ip(ns, name, test_sockets.shown(row)) for row in test_sockets.live(shown, ns, table, family)]
    blind = "udp_table" not in node.kernel.symbols and not node.kernel.types.has("netns_ipv4", "udp_table")

    def why(key: Key, where: str, truth: Row | None, _memir: Row | None) -> str:
        if where != MEMIR_ALONE and image.startswith("node-") and 22 in (key[3], key[5]):
            return "the connection that the recording came by has ended"
        if where == TRUTH_ALONE and truth is not None and image.startswith("node-") and truth["state"] == "TIME_WAIT":
            return "TIME_WAIT ends by itself"
        if where == TRUTH_ALONE and key[1].startswith("udp") and blind:
            return "udp_table has no symbol, and no process has it open"
        return ""

    yield Told("sockets", "/proc/net/tcp, tcp6, udp, udp6", keyed(every), keyed(mine), why)
    yield Told("sockets", "/proc/net/unix", keyed(unix), keyed(unix_mine))


def interfaces(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    recorded = test_interfaces.recorded(image)
    every: dict[Key, Row] = {}
    for ns, (names, addresses) in recorded.items():
        every |= {(ns, "name", name): {} for name in names}
        every |= {(ns, "address", address): {} for address in addresses}
    mine: dict[Key, Row] = {}
    for row in rows("interfaces"):
        if recorded:
            mine[row["net_ns"], "name", row["name"]] = {}
            mine |= {(row["net_ns"], "address", text.split("/")[0]): {} for text in row["ipv4"]}
    yield Told("interfaces", "/proc/net/dev, fib_trie", every, mine)


def routes(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    every: list[tuple[Key, Row]] = []
    mine: list[tuple[Key, Row]] = []
    recorded = test_routes.recorded(image)
    for ns, files in recorded.items():
        every += [((ns, *line), {}) for line in test_routes.of_trie(files["fib_trie"])]
        every += [((ns, "main", *line[:2]), {"gateway": line[2], "metric": line[3]})
                  for line in test_routes.of_route(files["route"])]  # fmt: skip
    for row in rows("routes"):
        if row["family"] == "inet" and row["net_ns"] in recorded:
            mine.append(((row["net_ns"], row["destination"], row["scope"], row["type"]), {}))
            if row["table"] == "main" and row["type"] not in ("broadcast", "multicast"):
                mine.append(((row["net_ns"], "main", row["interface"], row["destination"]), row))
    yield Told("routes", "/proc/net/fib_trie, route", keyed(every), keyed(mine))


def conntrack(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    """Established connections of /proc/net/tcp; a connection of two sockets of this node is one row."""
    if image not in NODES:
        return
    one_way = {min(ends, (*ends[2:], *ends[:2])) for ends in connected(image, "01")}
    mine: dict[Key, Row] = {}
    sockets_too = {
        (unmapped(row["local"]), row["local_port"], unmapped(row["remote"]), row["remote_port"])
        for row in rows("sockets")
        if row["protocol"] == "tcp" and row["state"] == "ESTABLISHED"
    }
    for row in rows("conntrack"):
        if row["state"] == "ESTABLISHED":
            ends = (row["orig_src"], row["orig_src_port"], row["orig_dst"], row["orig_dst_port"])
            mine[min(ends, (*ends[2:], *ends[:2]))] = {}

    def why(key: Key, where: str, _truth: Row | None, _memir: Row | None) -> str:
        if where == TRUTH_ALONE:
            return "the connection that the recording came by has ended" if 22 in (key[1], key[3]) else ""
        both = {key, (*key[2:], *key[:2])} & sockets_too
        return "tcp6, which was not recorded, has it: its socket is in the table `sockets`" if both else ""

    yield Told("conntrack", "/proc/net/tcp", {ends: {} for ends in one_way}, mine, why)


def pod_ips(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    every: dict[Key, Row] = {}
    if case(image).small:
        spaces = {pid: truth.namespaces["net"] for pid, truth in case(image).recorded().items()}
        every = {
            (one["ip"],): {"pod_uid": one["uid"]}
            for one in case(image).raw_truth()["pod"]
            # a pod on the host network has the node's address
            if one["ip"] and spaces.get(one["pid"]) != spaces[1]
        }
    elif case(image).beside("pods.json").is_file():
        every = {
            (pod["status"]["podIP"],): {"pod_uid": pod["metadata"]["uid"]}
            for pod in json.loads(case(image).beside("pods.json").read_text())["items"]
            if not pod["spec"].get("hostNetwork") and pod["status"].get("podIP")
        }
    mine = {(row["address"],): row for row in rows("pod_ips")}

    def why(_key: Key, where: str, truth: Row | None, _memir: Row | None) -> str:
        listed = {row["pod_uid"]: row for row in rows("pods")}
        if where == TRUTH_ALONE and truth is not None:
            row = listed.get(truth["pod_uid"])
            return "the pod has ended, and its interface with it" if row is None or not row["processes"] else ""
        return ""

    yield Told("pod_ips", "the node's CNI, the API", every, mine, why)


TELLERS = (sockets, interfaces, routes, conntrack, pod_ips)
