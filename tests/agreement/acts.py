# SPDX-License-Identifier: Apache-2.0
"""What nodes told of themselves beside /proc: layers, translated connections, BPF, a shell, every page frame
(samples/s-6.12-recorded), what a rootkit hid (s-6.1-hidden), files in flight and pages in swap (s-6.1-held, -zswap)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np

from memir.kernel.frames import KINDS
from memir.tables.table import tables
from tests.agreement.compare import Key, Row, Told
from tests.kernel import held, test_hidden
from tests.kernel.recorded import PATHS, records, rows
from tests.kernel.test_frames_recorded import NAMED, compared
from tests.lab.recorded import COMMANDS
from tests.tables.test_recorded_acts import connection, layer, without_value

_ORIG = ("protocol", "orig_src", "orig_src_port", "orig_dst", "orig_dst_port")
_REPLY = ("reply_src", "reply_src_port", "reply_dst", "reply_dst_port", "nat")


def recorded(name: str) -> Iterator[Told]:
    listed = ("kind", "mode", "size", "inode")
    yield Told(
        "inodes", "an upper layer, listed",
        {(record["path"],): {word: record[word] for word in listed} for record in records(name, "LAYER")},
        {(path,): row for path, row in layer(name).items()},
    )  # fmt: skip
    told = [connection(record["line"]) for record in records(name, "CONNTRACK")]
    live = [row for row in rows(name, "conntrack") if row["state"] != "ended"]
    yield Told(
        "conntrack", "/proc/net/nf_conntrack",
        {tuple(line[word] for word in _ORIG): {word: line[word] for word in _REPLY} for line in told},
        {tuple(row[word] for word in _ORIG): row for row in live},
    )  # fmt: skip
    objects = [record for record in records(name, "BPF") if record["kind"] != "attached"]
    words = {"name": "name", "tag": "tag", "uid": "uid", "program_id": "program"}  # program 0: the link ties a map
    yield Told(
        "bpf", "bpf(2)",
        {(record["kind"], record["id"]): {mine: record[word] for mine, word in words.items()
                                          if word in record and (word != "program" or record[word])}
         for record in objects},
        {(row["kind"], row["id"]): row for row in rows(name, "bpf")},
    )  # fmt: skip
    typed = [row for row in rows(name, "log") if row["origin"] == "history"]
    yield Told(
        "log", "a shell's commands",
        {(number, without_value(text)): {} for number, text in enumerate(COMMANDS, 1)},
        {(row["sequence"], without_value(row["text"])): {} for row in typed},
    )  # fmt: skip
    calls = records(name, "TOLD", "connect") + records(name, "TOLD", "datagram")
    ends = {"remote": "to", "remote_port": "port", "local_port": "from_port"}
    yield Told(
        "sockets", "getsockname, getpeername",
        {(call["inode"],): {mine: call[word] for mine, word in ends.items()} for call in calls},
        {(row["inode"],): row for row in rows(name, "sockets") if row["inode"] in {call["inode"] for call in calls}},
    )  # fmt: skip
    yield frames(name)


def frames(name: str) -> Told:
    """Each frame by what the kernel told of it: equal in kind, map count and cgroup, or not."""
    both = compared(name)
    names = np.array([NAMED.get(number, "") for number in range(64)])
    every: dict[Key, Row] = {}
    mine: dict[Key, Row] = {}
    for number, (told_kind, kind, same, count, charge) in enumerate(zip(
        names[both.told].tolist(), both.known.kind.tolist(), both.kind.tolist(), both.count.tolist(),
        both.charge.tolist(), strict=True,
    )):  # fmt: skip
        every[number,] = {"kind": told_kind, "map count": True, "cgroup": True}
        mine[number,] = {"kind": told_kind if same else KINDS[kind], "map count": count, "cgroup": charge}

    def why(_key: Key, where: str, truth: Row | None, memir: Row | None) -> str:
        words = f"told {truth[where]!r}, is {memir[where]!r}: " if where == "kind" and truth and memir else ""
        return f"{words}the kernel went on for the moments between its recording and its halt"

    return Told("pages", "/proc/kpageflags, kpagecount, kpagecgroup", every, mine, why)


def hidden() -> Iterator[Told]:
    """What the rootkit's module says that it took out of lists and changed."""
    said = test_hidden.told()
    pid, port = said["pid"], said["port"]
    missing = [row for row in test_hidden.rows("processes") if not {"tasks", "pids"} <= set(row["seen_by"])]
    yield Told("processes", "a rootkit: the process that it hid", {(pid,): {}}, {(row["pid"],): {} for row in missing})
    listed = ("tcp", "udp", "unix", "netlink", "packet", "raw", "ping", "vsock")
    unlisted = [row for row in test_hidden.rows("sockets") if row["seen_in"] not in listed and row["local_port"]]
    yield Told("sockets", "a rootkit: the port that it hid", {(port,): {"state": "LISTEN"}},
               {(row["local_port"],): row for row in unlisted})  # fmt: skip
    yield Told("modules", "a rootkit: its module", {("hider",): {}},
               {(row["name"],): {} for row in test_hidden.rows("modules") if row["hidden"]})  # fmt: skip
    yield Told(
        "hooks", "a rootkit: what it changed",
        {("ftrace", int(said["ops"], 16)): {"name": said["traced"]}, ("text", int(said["text"], 16)): {}},
        {(row["kind"], row["address"]): row for row in test_hidden.rows("hooks") if row["judgement"] == "unexpected"},
    )  # fmt: skip


def held_things() -> Iterator[Told]:
    """Files in flight and of io_urings, pages in swap."""
    (flight,), (ring,), (asked,) = held.truth("flight"), held.truth("uring"), held.truth("requests")
    inodes: dict[Key, Row] = {("in flight", flight["pid"], flight[word]): {} for word in ("tcp", "udp", "file")}
    inodes |= {("io_uring", ring["pid"], ring[word]): {} for word in ("file", "tcp")}
    inodes |= {("io_uring", asked["pid"], asked[word]): {} for word in ("accept", "poll", "splice")}
    every = tables()["files"].read(held.node()).rows()
    mine: dict[Key, Row] = {(row["use"], row["pid"], row["inode"]): {} for row in every
                            if row["use"] in ("in flight", "io_uring")}  # fmt: skip
    yield Told("files", "in flight and held by io_urings, as their process said", inodes, mine)
    yield from swapped(held.NAME)


def swapped(name: str) -> Iterator[Told]:
    """The region of which a process had 512 pages swapped out."""
    told = held.truth("swap", name)
    regions = tables()["vmas"].read(held.node(name)).rows()
    have: dict[Key, Row] = {
        (record["pid"], record["name"]): row
        for record in told
        for row in regions
        if row["pid"] == record["pid"] and row["start"] <= record["address"] < row["end"]
    }
    every: dict[Key, Row] = {(record["pid"], record["name"]): {"swapped": 512 * 4096} for record in told}
    yield Told("vmas", "pages in swap, as their process said", every, have)


RECORDINGS: dict[str, Callable[[], Iterator[Told]]] = {
    **{name: functools.partial(recorded, name) for name in PATHS},
    test_hidden.NAME: hidden, held.NAME: held_things, held.ZSWAP: functools.partial(swapped, held.ZSWAP),
}  # fmt: skip
"""What told of itself beside /proc, by image."""
