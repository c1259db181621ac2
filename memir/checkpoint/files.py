# SPDX-License-Identifier: Apache-2.0
"""Open files in a checkpoint: files.img, or an image a kind as CRIU before 3.5 wrote them, by CRIU's own ids."""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

REG, PIPE, FIFO, INET, UNIX = 1, 2, 3, 4, 5
KINDS = {
    REG: "regular", PIPE: "fifo", FIFO: "fifo", INET: "socket", UNIX: "socket", 6: "anonymous", 7: "anonymous",
    8: "anonymous", 9: "anonymous", 10: "socket", 11: "char", 12: "anonymous", 13: "socket", 14: "anonymous",
    15: "char", 17: "anonymous", 18: "regular", 19: "anonymous", 20: "anonymous",
}  # fmt: skip
"""Kinds as the table `files` has them, by fd_types of CRIU's fdinfo.proto."""
NAMES = {6: "anon_inode:[eventfd]", 7: "anon_inode:[eventpoll]", 8: "anon_inode:inotify", 9: "anon_inode:[signalfd]",
         17: "anon_inode:[timerfd]", 19: "anon_inode:bpf-map", 20: "anon_inode:[pidfd]"}  # fmt: skip
OLD = {"reg-files": REG, "inetsk": INET, "unixsk": UNIX, "pipes": PIPE}
_INNER = {REG: "reg", INET: "isk", UNIX: "usk", PIPE: "pipe", 18: "memfd"}
_FAMILIES = {2: "inet", 10: "inet6"}
_TYPES = {1: "stream", 2: "dgram", 3: "raw", 5: "seqpacket"}
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp", 136: "udplite", 262: "mptcp"}
STATES = {1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT", 7: "CLOSE",
          8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An open file. kind: of fd_types. path: as readlink shows it, without " (deleted)"; None is not known."""

    ident: int
    kind: int
    path: str | None = None
    inode: int | None = None
    offset: int | None = None
    flags: int | None = None
    deleted: bool | None = None
    entry: dict[str, Any] = field(default_factory=dict)


def open_files(rows: list[dict[str, Any]], removed: set[int]) -> dict[int, OpenFile]:
    """Open files by id. rows: messages of files.img; removed: ids of files whose names are gone (remap-fpath.img)."""
    known: dict[int, OpenFile] = {}
    for row in rows:
        ident, kind = row.get("id"), row.get("type", 0)
        if ident is None or ident in known:
            continue
        entry = row.get(_INNER.get(kind, ""), {})
        path, inode, deleted = NAMES.get(kind), None, False
        if kind == REG:
            path, deleted = from_root(entry.get("name")), ident in removed
        elif kind in (INET, UNIX):
            inode = entry.get("ino")
            path = None if inode is None else f"socket:[{inode}]"
        elif kind == PIPE:
            inode = entry.get("pipe_id")
            path = None if inode is None else f"pipe:[{inode}]"
        known[ident] = OpenFile(ident, kind, path, inode, entry.get("pos"), entry.get("flags"), deleted, entry)
    return known


def from_root(name: str | None) -> str | None:
    """A name as CRIU has it, from the root: older versions leave out the slash, or begin with a dot."""
    if name is None:
        return None
    return name if name.startswith("/") else "/" + name.removeprefix("./").removeprefix(".")


def old_rows(rows: list[dict[str, Any]], image: str) -> list[dict[str, Any]]:
    """Messages of an image of one kind of file, as files.img has them."""
    kind = OLD[image]
    return [{"type": kind, "id": row.get("id"), _INNER[kind]: row} for row in rows]


def socket_rows(files: dict[int, OpenFile]) -> list[dict[str, Any]]:
    """Rows of the table `sockets` without who holds them; `ident` is the file's."""
    unix = {file.entry.get("ino"): file for file in files.values() if file.kind == UNIX}
    out = []
    for file in files.values():
        entry = file.entry
        if file.kind == INET:
            family, state = entry.get("family", 0), entry.get("state", 0)
            remote = address(entry.get("dst_addr", []), family)
            connected = bool(entry.get("dst_port"))
            out.append({
                "ident": file.ident, "family": _FAMILIES.get(family, str(family)),
                "protocol": _PROTOCOLS.get(entry.get("proto", 0), str(entry.get("proto", 0))),
                "type": _TYPES.get(entry.get("type", 0)), "local": address(entry.get("src_addr", []), family),
                "local_port": entry.get("src_port"), "remote": remote if connected else None,
                "remote_port": entry.get("dst_port") or None, "state": STATES.get(state),
                "remote_kind": kind_of(remote) if connected else None, "inode": file.inode, "seen_in": "inetsk",
            })  # fmt: skip
        elif file.kind == UNIX:
            peer = unix.get(entry.get("peer") or None)
            out.append({
                "ident": file.ident, "family": "unix", "type": _TYPES.get(entry.get("type", 0)),
                "local": unix_name(entry.get("name", b"")), "state": STATES.get(entry.get("state", 0)),
                "remote": unix_name(peer.entry.get("name", b"")) if peer is not None else None, "inode": file.inode,
                "seen_in": "unixsk",
            })  # fmt: skip
    return out


def address(words: list[int], family: int) -> str | None:
    """An address as text: words hold it in network order, as the kernel does."""
    count = 1 if family == 2 else 4
    if len(words) < count or any(word >> 32 for word in words[:count]):
        return None
    raw = struct.pack(f"<{count}I", *words[:count])
    return socket.inet_ntop(socket.AF_INET if count == 1 else socket.AF_INET6, raw)


def kind_of(text: str | None) -> str | None:
    """What the other end is, by its address alone: loopback, private, multicast or outside."""
    if text is None:
        return None
    known = ipaddress.ip_address(text)
    plain = getattr(known, "ipv4_mapped", None) or known
    if plain.is_unspecified:
        return None
    if plain.is_loopback:
        return "loopback"
    return "multicast" if plain.is_multicast else "private" if plain.is_private else "outside"


def unix_name(raw: bytes) -> str | None:
    """A unix socket's name as the table has it: @ and an abstract one."""
    if not raw:
        return None
    if raw[0] == 0:
        return "@" + raw[1:].rstrip(b"\0").decode("utf-8", "backslashreplace")
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
