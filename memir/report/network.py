# SPDX-License-Identifier: Apache-2.0
"""Who listens and who talks to whom, a line a pod."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
_QUIET = {None, "loopback", "process", "multicast"}
_MOST = 8
"""Names in a line; the rest is counted, and in the table."""
_EPHEMERAL = 32768
"""The first port that Linux gives to who connects (net.ipv4.ip_local_port_range's default)."""


def network_lines(sockets: Iterable[Row]) -> list[str]:
    """`namespace/pod: listens on tcp 80; talks to pod payments/ledger 7000`, by pod, the node's last.

    What goes over loopback alone is left out; connections that have ended, and those that wait, are told as such.
    """
    listens: dict[str, set[tuple[str, int]]] = defaultdict(set)
    talks: dict[str, set[str]] = defaultdict(set)
    for row in sockets:
        if row["family"] not in ("inet", "inet6") or row["shared_by"]:
            continue
        pod = f"{row['namespace']}/{row['pod_name']}" if row["pod_name"] else row["container_id"] or ""
        protocol, port = row["protocol"], row["local_port"] or 0
        unconnected = protocol == "udp" and not row["remote_port"]
        if (row["state"] == "LISTEN" or unconnected) and port and not _inside(row["local"]):
            listens[pod].add((protocol, port))
        elif row["remote_kind"] not in _QUIET and row["remote_port"]:
            talks[pod].add(_end(row))
    lines = []
    for pod in sorted(listens.keys() | talks.keys(), key=lambda name: (name == "", name)):
        ports = [f"{protocol} {port}" for protocol, port in sorted(listens[pod]) if protocol != "mptcp"]
        parts = [f"listens on {_short(ports)}"] if ports else []
        parts += [f"talks to {_short(sorted(talks[pod]))}"] if talks[pod] else []
        if parts:
            lines.append(f"{pod or 'node'}: {'; '.join(parts)}")
    return lines


def _inside(address: str | None) -> bool:
    return (address or "").startswith("127.") or address == "::1"


def _end(row: Row) -> str:
    name = row["remote_name"] or row["remote"].removeprefix("::ffff:")
    waits = " (not accepted yet)" if row["accepted"] is False else " (ended)" if row["state"] == "ended" else ""
    # an ephemeral port there and none here: this end is most likely the one that was called, so its port says what for
    called = row["remote_port"] >= _EPHEMERAL > (row["local_port"] or 0) > 0
    on = f" on {row['local_port']}" if called else ""
    return f"{row['remote_kind']} {name} {row['remote_port']}{on}{waits}"


def _short(words: Sequence[str]) -> str:
    more = len(words) - _MOST
    return ", ".join(words[:_MOST]) + (f" and {more} more" if more > 0 else "")
