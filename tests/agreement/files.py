# SPDX-License-Identifier: Apache-2.0
"""Open and mapped files, mounts, inodes and modules, as /proc and the recorder told them; and what nobody did."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from memir.kube.ram import RamSource
from tests.agreement.compare import Key, Row, Rows, Told, keyed
from tests.images import case
from tests.tables import test_files, test_mounts
from tests.tables.test_inodes import EMPTY

_PASSING = "a node at work: sockets, pipes and files of /proc that were opened or closed in the seconds between"


def files(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    entries = list(test_files.listed(image, node))
    shown = rows("files")
    every: dict[Key, Row] = {
        (entry["pid"], int(fd)): {"path": target}
        for entry in entries
        for fd, target in (entry.get("fds") or {}).items()
        if target is not None
    }
    pids = {pid for pid, _ in every}
    mine: dict[Key, Row] = {
        (row["pid"], row["fd"]): {"path": test_files.shown(row)}
        for row in shown
        if row["use"] == "fd" and row["pid"] in pids
    }

    def why(_key: Key, _where: str, truth: Row | None, memir: Row | None) -> str:
        paths = [row["path"] for row in (truth, memir) if row is not None]
        passing = any(test_files.PASSING.match(path) for path in paths)
        return _PASSING if image.startswith("node-") and passing else ""

    yield Told("files", "/proc/PID/fd", every, mine, why)
    users = {row.pid for row in node.processes.rows if not row.kernel_thread}
    stood: dict[Key, Row] = {
        (entry["pid"], use): {"path": entry[use]}
        for entry in entries
        for use in ("cwd", "root", "exe")
        if entry.get(use) is not None and entry["pid"] in users
    }
    at: dict[Key, Row] = {(row["pid"], row["use"]): {"path": test_files.shown(row)} for row in shown
                          if (row["pid"], row["use"]) in stood}  # fmt: skip
    yield Told("files", "/proc/PID/cwd, root, exe", stood, at)
    mapped: dict[Key, Row] = {(entry["pid"], *file): {} for entry in entries for file in test_files.mapped(entry)}
    of_maps = {key[0] for key in mapped}
    have: dict[Key, Row] = {(row["pid"], test_files.shown(row), row["inode"]): {} for row in shown
                            if row["use"] == "mapped" and row["pid"] in of_maps}  # fmt: skip
    yield Told("files", "/proc/PID/maps", mapped, have)


def mounts(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    recorded = test_mounts.recorded(image)
    every = {(ns, number): line for ns, lines in recorded.items() for number, line in map(test_mounts.fields, lines)}
    mine = {(row["mnt_ns"], row["mount_id"]): row for row in rows("mounts")
            if not row["hidden"] and row["mnt_ns"] in recorded}  # fmt: skip
    yield Told("mounts", "/proc/PID/mountinfo", every, mine)


def inodes(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    upper = case(image).raw_truth().get("upper", ())
    if isinstance(upper, dict):
        yield _layers(upper, rows)
        return
    every: dict[Key, Row] = {
        (entry["file"],): {"size": entry["size"], "sha256": entry["sha256"]} for entry in upper
    }
    mine: dict[Key, Row] = {
        (row["node_path"],): {"size": row["size"], "sha256": row["sha256"] or (EMPTY if row["size"] == 0 else None)}
        for row in rows("inodes")
        if row["layer"] == "upper" and row["kind"] == "regular" and not row["deleted"]
        and re.search(r"/snapshots/[123][0-9]/fs/", row["node_path"] or "")
    } if every else {}  # fmt: skip
    yield Told("inodes", "files of upper layers, read and hashed", every, mine)


def _layers(upper: dict[str, list[list[Any]]], rows: Rows) -> Told:
    """Every entry of each container's upper layer, by its snapshot: as lstat showed it."""
    every: dict[Key, Row] = {
        (f"/snapshots/{number}/fs{path}",): {
            "mode": mode & 0o7777, "uid": uid, "gid": gid, "size": size, "inode": inode,
        }
        for number, entries in upper.items()
        for path, mode, uid, gid, size, _, _, inode, *_ in entries
    }  # fmt: skip
    mine: dict[Key, Row] = {}
    for row in rows("inodes"):
        found = re.search(r"/snapshots/([0-9]+)/fs/.*", row["node_path"] or "")
        if row["layer"] == "upper" and not row["deleted"] and found and found[1] in upper:
            mine[found[0],] = row
    return Told("inodes", "entries of upper layers, by lstat", every, mine)


def modules(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    raw = case(image).raw_truth()
    if "modules" in raw:
        every: dict[Key, Row] = {(name,): {"hidden": False} for name in raw["modules"]}
    else:
        every = {
            (name,): {"refcount": int(count), "state": state.lower(), "hidden": False}
            for name, _, count, _, state, *_ in (line.split() for line in raw["sys"]["modules"].splitlines())
        }

    def why(key: Key, where: str, _truth: Row | None, _memir: Row | None) -> str:
        port = key == ("virtio_console",) and where == "refcount"
        return "the port by which the recording goes out was opened after it" if port else ""

    yield Told("modules", "/proc/modules", every, {(row["name"],): row for row in rows("modules")}, why)


def untouched(image: str, node: RamSource, rows: Rows) -> Iterator[Told]:
    """Nobody hooked these kernels, wrote into a program's code or told the loader what to load."""
    mine = keyed(((row["kind"], row["name"]), row) for row in rows("hooks") if row["judgement"] == "unexpected")
    yield Told("hooks", "what was done to the node: no kernel was hooked", {}, mine)
    pages = keyed(((row["pid"], row["address"]), row) for row in rows("code_pages"))

    def why(_key: Key, _where: str, _truth: Row | None, memir: Row | None) -> str:
        shown = memir and (memir["path"], memir["differing"], memir["breakpoints"])
        probed = shown == ("/data/attach", 1, 1)
        return "the breakpoint of the uprobe that its loader set (small/attach.c)" if probed else ""

    yield Told("code_pages", "what was done to the node: no code was written into", {}, pages, why)
    loaded = keyed(((row["path"],), row) for row in rows("preloads"))
    yield Told("preloads", "what was done to the node: no such file was made", {}, loaded)


TELLERS = (files, mounts, inodes, modules, untouched)
