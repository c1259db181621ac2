# SPDX-License-Identifier: Apache-2.0
"""Files as readlink showed them in /proc/PID: descriptors, working and root directories, executables, mapped files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.kube.ram import RamSource
from memir.tables.files import TABLE, read
from tests.damage import rewritten
from tests.images import case
from tests.kernel import held
from tests.test_truth import RECORDER, SLEEPER, words

NodeOf = Callable[[str], RamSource]
# the connection that the recording ran over, and what an ended command of a loop had open
PASSING = re.compile(r"^(socket|pipe):|^/(proc|sys)/")  # statistics are opened, read and closed at once


def listed(image: str, node: RamSource) -> Iterator[dict[str, Any]]:
    """Raw records of processes that are still there, without the recorder and what ends all the time."""
    raw: Any = case(image).raw_truth()
    every = raw["proc"] if case(image).small else raw["tasks"]
    recorded, living = case(image).recorded(), {row.pid for row in node.processes.rows if row.alive}
    for entry in every:
        args = words(recorded[entry["pid"]].args)
        if entry["pid"] in living and not RECORDER.match(args) and not SLEEPER.match(args):
            yield entry


def maps(entry: dict[str, Any]) -> list[list[str]]:
    """Fields of each line of /proc/PID/maps; the path, which may hold blanks, is all from the sixth on."""
    lines = [line.split(None, 5) for line in (entry.get("maps") or "").splitlines()]
    return lines or [line if isinstance(line, list) else line.split(None, 5) for line in entry.get("vmas") or []]


def mapped(entry: dict[str, Any]) -> set[tuple[str, int]]:
    """(path, inode) of the files among them."""
    return {(" ".join(parts[5:]), int(parts[4])) for parts in maps(entry) if len(parts) > 5 and parts[5][:1] == "/"}


def shown(row: dict[str, Any]) -> str:
    return str(row["path"]) + (" (deleted)" if row["deleted"] else "")


def test_descriptors(image: str, node_of: NodeOf) -> None:
    """Both ways: each descriptor of the recording has its text, and there is none that the recording has not."""
    node = node_of(image)
    rows = {(row["pid"], row["fd"]): row for row in TABLE.read(node).rows() if row["use"] == "fd"}
    truth = {
        (entry["pid"], int(fd)): target
        for entry in listed(image, node)
        for fd, target in (entry.get("fds") or {}).items()
        if target is not None
    }
    assert len(truth) > 40
    processes = {pid for pid, _ in truth}
    wrong = {key: (target, rows.get(key) and shown(rows[key])) for key, target in truth.items()
             if key not in rows or shown(rows[key]) != target}  # fmt: skip
    more = {key: shown(row) for key, row in rows.items() if key[0] in processes and key not in truth}
    if image.startswith("node-"):  # a node at work goes on between the recording and the image
        assert len(wrong) + len(more) <= 12
        assert all(PASSING.match(target) for target, _ in wrong.values()) and all(map(PASSING.match, more.values()))
    else:
        assert (wrong, more) == ({}, {})


@pytest.mark.parametrize("use", ["cwd", "root", "exe"])
def test_what_a_process_stands_in_and_runs(image: str, node_of: NodeOf, use: str) -> None:
    node = node_of(image)
    rows = {row["pid"]: shown(row) for row in TABLE.read(node).rows() if row["use"] == use}
    users = {row.pid for row in node.processes.rows if not row.kernel_thread}
    compared = 0
    for entry in listed(image, node):
        if entry.get(use) is not None and entry["pid"] in users:
            assert rows[entry["pid"]] == entry[use], entry["pid"]
            compared += 1
    assert compared > 5 or use not in entry
    assert set(rows) <= users


def test_mapped_files(image: str, node_of: NodeOf) -> None:
    """Paths, devices and inodes that /proc/PID/maps shows; on 6.7 and later by the backing file's user."""
    node = node_of(image)
    rows: dict[int, set[tuple[str, int]]] = {}
    for row in TABLE.read(node).rows():
        if row["use"] == "mapped":
            rows.setdefault(row["pid"], set()).add((shown(row), row["inode"]))
    compared = 0
    for entry in listed(image, node):
        truth = mapped(entry)
        if truth:
            assert rows[entry["pid"]] == truth, entry["pid"]
            compared += len(truth)
    assert compared > 10


def test_owners_and_peers(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    rows = TABLE.read(node).rows()
    placed = {row.tgid: identity for row, identity in zip(node.processes.rows, node.identities, strict=True)}
    assert all(row["container_id"] == placed[row["pid"]].container_id for row in rows)
    peers = {row["peer"] for row in rows if row["kind"] == "socket"}
    assert any(peer and ":" in peer for peer in peers)
    assert not [gap for gap in node.gaps if gap.kind == "open file"]


def test_reader(node_of: NodeOf) -> None:
    frame = read(node_of("s-6.1-small"))
    assert len(frame.keys) == len(frame) and set(frame["use"]) == {"fd", "cwd", "root", "exe", "mapped"}


def test_files_that_no_process_has_open() -> None:
    """In flight to an end of a unix socket, registered with an io_uring or in its requests: as the guest said."""
    rows = [row for row in TABLE.read(held.node()).rows() if row["use"] in ("in flight", "io_uring")]
    (flight,), (ring,), (asked,) = held.truth("flight"), held.truth("uring"), held.truth("requests")
    shown = {(row["use"], row["pid"], row["fd"], row["path"], row["inode"]) for row in rows}
    assert (
        shown
        == {
            ("in flight", flight["pid"], None, "/run/flight.txt", flight["file"]),
            ("in flight", flight["pid"], None, f"socket:[{flight['tcp']}]", flight["tcp"]),
            ("in flight", flight["pid"], None, f"socket:[{flight['udp']}]", flight["udp"]),
            ("io_uring", ring["pid"], None, "/run/ring.txt", ring["file"]),
            ("io_uring", ring["pid"], None, f"socket:[{ring['tcp']}]", ring["tcp"]),
            ("io_uring", asked["pid"], None, f"socket:[{asked['accept']}]", asked["accept"]),
            ("io_uring", asked["pid"], None, f"socket:[{asked['poll']}]", asked["poll"]),
            ("io_uring", asked["pid"], None, f"pipe:[{asked['splice']}]", asked["splice"]),
        }
        and len(rows) == 8
    )
    assert {row["source"] for row in rows} == {
        f"struct file, in flight to socket:[{flight['carrier'][1]}]",
        f"struct file, registered with the io_uring of fd {ring['ring']}",
        *(f"struct file, in IORING_OP_{name} of the io_uring of fd {asked['ring']}"
          for name in ("ACCEPT", "POLL_ADD", "SPLICE")),
    }  # fmt: skip
    assert [row["offset"] for row in rows if row["path"] == "/run/flight.txt"] == [len("a file in flight\n")]


def test_read_checkpoint_gives_what_its_archive_holds() -> None:
    from memir.checkpoint.source import CheckpointSource
    from memir.tables.files import read_checkpoint
    from tests.checkpoint.sample import archive

    assert list(read_checkpoint(CheckpointSource(archive()))["use"])[:3] == ["exe", "cwd", "root"]


def test_read_collected_gives_what_its_folder_holds(tmp_path: Path) -> None:
    from memir.collected.source import CollectedSource
    from memir.tables.files import read_collected
    from tests.collected.made import folder

    assert list(read_collected(CollectedSource(folder(tmp_path / "ev")))["use"]) == ["exe", "cwd", "root", "fd"]


def test_a_thread_that_stands_elsewhere(node_of: NodeOf) -> None:
    """unshare(CLONE_FS) gives it a working directory of its own, which is one of its process's too."""
    node = node_of("s-6.12-intruded")
    kernel, threads = node.kernel, node.processes.threads
    before = Counter((row["pid"], row["use"], row["path"]) for row in TABLE.read(node).rows())
    pids = list(zip(threads.pid.tolist(), threads.tgid.tolist(), strict=True))
    row = next(row for row, (tid, pid) in enumerate(pids) if tid != pid)
    fs = kernel.pointer(threads.task[pids.index((1, 1)) :][:1], "task_struct", "fs")
    place = int(threads.task[row]) + kernel.types.offset("task_struct", "fs")
    made = RamSource(rewritten(kernel, {place: int(fs[0]).to_bytes(8, "little")}))
    after = Counter((row["pid"], row["use"], row["path"]) for row in TABLE.read(made).rows())
    # those of process 1, which is in another mount namespace
    assert after - before == Counter({(pids[row][1], "cwd", "/"): 1, (pids[row][1], "root", "/"): 1})
    assert not before - after
