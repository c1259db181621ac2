# SPDX-License-Identifier: Apache-2.0
"""Sockets of a collected pod, from /proc/net of each of its network namespaces: proc(5), net/ipv4/tcp_ipv4.c."""

from __future__ import annotations

import ipaddress
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memir.collected.rows import Row, Rows, inode_of, number_of, shown

if TYPE_CHECKING:
    from memir.collected.source import CollectedSource

STATES = {
    1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT", 7: "CLOSE",
    8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING", 12: "NEW_SYN_RECV",
}  # fmt: skip
_INET = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6")
_TYPES = {"tcp": "stream", "udp": "dgram", "udplite": "dgram", "raw": "raw", "icmp": "dgram"}
_UNIX_TYPES = {1: "stream", 2: "dgram", 5: "seqpacket"}
_UNIX_STATES = {1: "CLOSE", 2: "SYN_SENT", 3: "ESTABLISHED", 4: "CLOSING"}
_LISTENS = 0x10000  # __SO_ACCEPTCON
MAX_SOCKETS = 1 << 20


def address_of(word: str) -> tuple[str, int] | None:
    """(address, port) of `0100007F:1F90`: words in the node's byte order, the port as it is read. None for others."""
    packed, _, port = word.partition(":")
    try:
        data = bytes.fromhex(packed)
        number = int(port, 16)
    except ValueError:
        return None
    if len(data) not in (4, 16):
        return None
    # x86-64 and arm64 are little-endian; each 32-bit word was printed as a number
    turned = b"".join(data[place : place + 4][::-1] for place in range(0, len(data), 4))
    address = ipaddress.ip_address(turned)
    mapped = getattr(address, "ipv4_mapped", None)
    return sys.intern(str(mapped or address)), number


def socket_rows(source: CollectedSource) -> Rows:
    """Of the table `sockets`."""
    holders: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    spaces: dict[int | None, set[str]] = defaultdict(set)
    for record in source.processes:
        container = str(record.get("container") or "")
        links = record.get("links")
        spaces[inode_of(links.get("ns/net") if isinstance(links, dict) else None)].add(container)
        fds = record.get("fds")
        for entry in fds if isinstance(fds, list) else ():
            name = str(entry.get("target")) if isinstance(entry, dict) else ""
            inode, fd = inode_of(name) if name.startswith("socket:[") else None, entry.get("fd") if name else None
            if inode is not None:
                holders[inode].append((record["pid"], fd if type(fd) is int else 0, container))
    rows: list[Row] = []
    keys: list[str] = []
    for number, table in source.below("node/net"):
        space = number_of(number)
        if space is None or table not in (*_INET, "unix"):
            continue
        lines = source.read(f"node/net/{number}/{table}", 64 << 20).decode("utf-8", "surrogateescape").split("\n")[1:]
        for row in _unix(lines) if table == "unix" else _inet(lines, table):
            held = sorted(holders.get(row["inode"] or 0, []))
            inside = {container for _, _, container in held} or spaces.get(space, set())
            rows.append({
                **row, "net_ns": space, "pid": held[0][0] if held else None, "fd": held[0][1] if held else None,
                "pids": sorted({pid for pid, _, _ in held}), "seen_in": table.rstrip("6") if table != "unix" else table,
                "source": f"/proc/net/{table}",
            })  # fmt: skip
            keys.append(next(iter(inside)) if len(inside) == 1 else "")
            if len(rows) >= MAX_SOCKETS:
                source.gaps.add("socket", f"node/net/{number}/{table}", f"more than {MAX_SOCKETS:,}: cut")
                return rows, keys
    return rows, keys


def _inet(lines: list[str], table: str) -> Iterator[Row]:
    name = table.removesuffix("6")
    for line in lines:
        words = line.split()
        local, remote = (address_of(words[1]), address_of(words[2])) if len(words) > 9 else (None, None)
        if local is None or remote is None:
            continue
        sent, _, received = words[4].partition(":")
        connected = remote[1] > 0
        yield {
            "family": "inet6" if table.endswith("6") else "inet", "protocol": name, "type": _TYPES[name],
            "local": local[0], "local_port": local[1], "remote": remote[0] if connected else None,
            "remote_port": remote[1] if connected else None,
            "state": STATES.get(_hex(words[3])) if name != "raw" else None, "inode": number_of(words[9]) or None,
            "uid": number_of(words[7]), "tx_queue": _hex(sent), "rx_queue": _hex(received),
        }  # fmt: skip


def _unix(lines: list[str]) -> Iterator[Row]:
    for line in lines:
        words = line.split(None, 7)
        inode = number_of(words[6]) if len(words) > 6 else None
        if inode is None:
            continue
        state = "LISTEN" if _hex(words[3]) & _LISTENS else _UNIX_STATES.get(_hex(words[5]))
        yield {
            "family": "unix", "type": _UNIX_TYPES.get(_hex(words[4])), "state": state, "inode": inode,
            "local": shown(words[7]) if len(words) > 7 else None,
        }  # fmt: skip


def _hex(word: Any) -> int:
    try:
        return int(word, 16)
    except ValueError:
        return 0
