# SPDX-License-Identifier: Apache-2.0
"""Sockets as /proc/net listed them in every namespace, their holders as /proc/PID/fd did, and both ends named."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memir.kube.ram import RamSource
from memir.tables.sockets import TABLE, read
from tests.images import case
from tests.kernel import held

NodeOf = Callable[[str], RamSource]
Row = dict[str, Any]
STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
    "LISTEN", "CLOSING", "SYN_RECV",
)  # fmt: skip


def recorded(image: str) -> dict[int, dict[str, list[str]]]:
    """Lines of /proc/net's files by number of the network namespace, without their heads."""
    raw: Any = case(image).raw_truth()
    if "net" in raw and not case(image).small:
        files = ("tcp", "tcp6", "udp", "udp6")
        return {int(ns[5:-1]): {name: of_ns[name][1:] for name in files} for ns, of_ns in raw["net"].items()}
    if not case(image).small:
        return {int(ns[5:-1]): {"tcp": lines} for ns, lines in raw["tcp"].items()}
    files = ("tcp", "tcp6", "udp", "unix")
    return {
        int(one["netns"][5:-1]): {name: one[name].splitlines()[1:] for name in files if name in one}
        for one in raw["net"]
    }


def address(text: str) -> tuple[str, int]:
    """`0100007F:1F90`: words of the address in the order of the machine, port as it is read."""
    words, port = text.split(":")
    raw = b"".join(struct.pack("<I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw), int(port, 16)


def of_ip(line: str) -> tuple[Any, ...]:
    """What a line of tcp, tcp6 or udp says: both ends, state, queues, user, inode."""
    parts = line.split()
    tx, rx = (int(part, 16) for part in parts[4].split(":"))
    return (*address(parts[1]), *address(parts[2]), STATES[int(parts[3], 16)], rx, tx, int(parts[7]), int(parts[9]))


def left(line: str) -> int:
    """Clock ticks until the line's timer ends."""
    return int(line.split()[5].split(":")[1], 16)


def shown(row: Row) -> tuple[Any, ...]:
    """The same of a row; /proc shows what has no struct socket as user 0, inode 0."""
    ends = (row["local"], row["local_port"], row["remote"], row["remote_port"])
    return (*ends, row["state"], row["rx_queue"], row["tx_queue"], row["uid"] or 0, row["inode"] or 0)


def live(rows: list[Row], ns: int, table: str, family: str) -> list[Row]:
    return [row for row in rows if row["net_ns"] == ns and row["seen_in"] == table and row["family"] == family]


def test_tcp_and_udp(image: str, node_of: NodeOf) -> None:
    """Every line of every namespace is a row with the same values, and no row is added."""
    node = node_of(image)
    rows = TABLE.read(node).rows()
    blind = "udp_table" not in node.kernel.symbols and not node.kernel.types.has("netns_ipv4", "udp_table")
    compared = 0
    for ns, files in recorded(image).items():
        for name, lines in files.items():
            if name == "unix":
                continue
            table, family = name.removesuffix("6"), "inet6" if name.endswith("6") else "inet"
            times = [(of_ip(line), left(line)) for line in lines if line.strip()]
            truth = [one for one, _ in times]
            found = [shown(row) for row in live(rows, ns, table, family)]
            compared += len(truth)
            if image.startswith("node-"):
                # the connection that the measuring ran over has ended since
                gone = [one for one in truth if one not in found and one[4] != "TIME_WAIT"]
                assert [one[1] for one in gone] in ([], [22]), gone
                # a TIME_WAIT ends by itself: those that had the least time left
                waits = [(one in found, time) for one, time in times if one[4] == "TIME_WAIT"]
                ended, there = ([time for is_there, time in waits if is_there == kind] for kind in (False, True))
                assert not ended or not there or max(ended) < min(there), waits
            elif table == "udp" and blind:
                assert set(found) <= set(truth)
            else:
                assert sorted(found, key=repr) == sorted(truth, key=repr), f"{ns} {name}"
    assert compared >= 4


def test_unix(image: str, node_of: NodeOf) -> None:
    rows = TABLE.read(node_of(image)).rows()
    for ns, files in recorded(image).items():
        truth = sorted(
            (int(parts[6]), int(parts[4], 16), " ".join(parts[7:]) or None)
            for parts in (line.split() for line in files.get("unix", []))
        )
        kinds = {"stream": 1, "dgram": 2, "seqpacket": 5}
        found = sorted((row["inode"], kinds[row["type"]], row["local"]) for row in live(rows, ns, "unix", "unix"))
        if "unix" in files:
            assert found == truth


def test_holders(image: str, node_of: NodeOf) -> None:
    """Every descriptor of the recording that is a socket is held by that process, and owned as that process is."""
    node = node_of(image)
    rows = {row["inode"]: row for row in TABLE.read(node).rows() if row["inode"]}
    raw: Any = case(image).raw_truth()
    listed = raw["proc"] if case(image).small else raw["tasks"]
    placed = {row.pid: identity for row, identity in zip(node.processes.rows, node.identities, strict=True)}
    checked, unknown = 0, []
    for one in listed:
        for fd, target in (one.get("fds") or {}).items():
            match = re.fullmatch(r"socket:\[([0-9]+)\]", target or "")
            if match is None or one["pid"] not in placed or one.get("self"):
                continue
            row = rows.get(int(match[1]))
            if row is None or one["pid"] not in row["pids"]:
                unknown.append((one["pid"], fd, target))
                continue
            checked += 1
            assert row["pid"] == min(row["pids"]) and row["fd"] is not None
            if len(row["pids"]) == 1:
                assert row["fd"] == int(fd) or image.startswith("node-")
                assert row["container_id"] == placed[one["pid"]].container_id
    assert checked >= 4
    assert len(unknown) <= (6 if image.startswith("node-") else 0), unknown


def test_both_ends_of_a_connection_are_pods(image: str, node_of: NodeOf) -> None:
    rows = TABLE.read(node_of(image)).rows()
    named = [row for row in rows if row["remote_kind"] == "pod"]
    for row in named:
        assert row["remote_pod_uid"] and "/" in row["remote_name"]
    if image.startswith("node-"):
        assert any(
            (row["pod_name"] or "").startswith("api-") and row["remote_name"] == "payments/ledger" for row in named
        )
    else:
        pair = [row for row in rows if row["state"] == "ESTABLISHED" and row["local_port"]]
        assert {row["remote_kind"] for row in pair} <= {"loopback", "pod", "node"}
        assert len(pair) == 2 or "told" in case(image).raw_truth()  # tests/tables/test_recorded_acts.py counts those
    assert not [row for row in rows if row["state"] == "ended" and row["pid"]]


def test_rows_are_unique_and_nothing_is_torn(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    frame = read(node)
    assert len(set(frame["sock"])) == len(frame) > 4
    kinds = {gap.kind for gap in node.gaps if "socket" in gap.kind or "table" in gap.kind}
    assert kinds <= ({"netlink table"} if "nl_table" not in node.kernel.symbols else set())


def test_sockets_that_no_process_has_open() -> None:
    """In flight between two ends of a unix socket, registered with an io_uring, and ping sockets: as the guest said."""
    rows = {row["inode"]: row for row in TABLE.read(held.node()).rows()}
    (flight,), (ring,), (ping,) = (held.truth(what) for what in ("flight", "uring", "ping"))
    for inode, port in ((flight["tcp"], 7777), (flight["udp"], 7778)):
        row = rows[inode]
        assert (row["local_port"], row["pid"], row["pids"], row["fd"]) == (port, flight["pid"], [flight["pid"]], None)
        assert row["source"] == f"struct sock, in flight to socket:[{flight['carrier'][1]}]"
    row = rows[ring["tcp"]]
    assert (row["local_port"], row["state"], row["pid"], row["fd"]) == (7779, "LISTEN", ring["pid"], None)
    assert row["source"] == f"struct sock, registered with the io_uring of fd {ring['ring']}"
    (asked,) = held.truth("requests")
    for name, port, operation in (("accept", 7780, "ACCEPT"), ("poll", 7781, "POLL_ADD")):
        row = rows[asked[name]]
        assert (row["local_port"], row["pid"], row["pids"], row["fd"]) == (port, asked["pid"], [asked["pid"]], None)
        assert row["source"] == f"struct sock, in IORING_OP_{operation} of the io_uring of fd {asked['ring']}"
    four, six = rows[ping["four"]], rows[ping["six"]]
    assert (four["protocol"], four["local_port"], four["pid"], four["seen_in"]) == ("icmp", 4242, ping["pid"], "ping")
    assert (six["protocol"], six["local_port"], six["pid"], six["seen_in"]) == ("icmpv6", 4243, ping["pid"], "ping")


def test_vsock_sockets() -> None:
    """A guest's listener and both ends of its connections to itself, as getsockname said; one is not accepted."""
    rows = {row["inode"]: row for row in TABLE.read(held.node()).rows() if row["family"] == "vsock"}
    (record,) = held.truth("vsock")
    assert {row["pid"] for row in rows.values()} == {record["pid"]} and len(rows) == 5
    names = ("local", "local_port", "remote", "remote_port", "remote_kind", "state", "seen_in")
    shown = {inode: tuple(row[name] for name in names) for inode, row in rows.items()}
    assert shown[record["listener"]] == ("*", 5000, "*", None, None, "LISTEN", "vsock")
    assert shown[record["client"]] == ("*", record["client_port"], "1", 5000, "loopback", "ESTABLISHED", "vsock")
    assert shown[record["server"]] == ("1", 5000, "1", record["client_port"], "loopback", "ESTABLISHED", "vsock")
    port = record["later_port"]
    assert shown[record["later"]] == ("*", port, "1", 5000, "loopback", "ESTABLISHED", "vsock")
    assert shown[None] == ("1", 5000, "1", port, "loopback", "ESTABLISHED", "vsock"), "a port of 32 bits"
    accepted = {inode: (row["accepted"], row["fd"] is None) for inode, row in rows.items()}
    assert accepted[None] == (False, True) and accepted[record["server"]] == (True, False)
    assert accepted[record["listener"]] == (None, False)


def test_read_checkpoint_gives_what_its_archive_holds() -> None:
    from memir.checkpoint.source import CheckpointSource
    from memir.tables.sockets import read_checkpoint
    from tests.checkpoint.sample import archive

    assert list(read_checkpoint(CheckpointSource(archive()))["state"])[:3] == ["CLOSE", "LISTEN", "ESTABLISHED"]


def test_read_collected_gives_what_its_folder_holds(tmp_path: Path) -> None:
    from memir.collected.source import CollectedSource
    from memir.tables.sockets import read_collected
    from tests.collected.made import folder

    assert list(read_collected(CollectedSource(folder(tmp_path / "ev")))["local_port"]) == [8080]
