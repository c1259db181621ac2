# SPDX-License-Identifier: Apache-2.0
"""Pages of real images zeroed or randomised, as a live capture tears them: what remains is right, the rest is told."""

from __future__ import annotations

import copy
import functools
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from memir.errors import KernelError
from memir.image.memory import PhysicalMemory
from memir.kernel import page, sched
from memir.kernel.engine import Kernel
from memir.kernel.pagetable import U64
from memir.kernel.smear import smear
from memir.kube.ram import RamSource
from memir.symbols.anchors import Anchors
from memir.symbols.locate import locate
from tests.damage import by, damaged, patched, randomised, zeroed
from tests.images import case
from tests.rows import rows_of

IMAGES = ("s-6.1-small", "s-5.10-small-v1", "s-7.2-small-la57", "arm64-6.12-small-lpa2")
KEPT = ("s-5.10-small-v1",)
EACH = [
    pytest.param(name, marks=() if name in KEPT else pytest.mark.long("the same damage on another image"))
    for name in IMAGES
]
SEEDS = range(3 if os.environ.get("CI") == "true" else 1)
RATES = (0.01, 0.05, 0.2) if os.environ.get("CI") == "true" else (0.05,)
NAMESPACES = ("mnt_ns", "pid_ns", "net_ns", "ipc_ns", "uts_ns", "user_ns", "cgroup_ns", "time_ns")
# tables by what names a row
KEYS = {
    "mounts": ("mnt_ns", "mount_id"),
    "sockets": ("sock",),
    "pod_ips": ("address", "witness"),
    "files": ("pid", "file", "use"),
    "interfaces": ("net_ns", "index"),
    "routes": ("route", "hop"),
    "neighbours": ("neighbour",),
    "vmas": ("pid", "vma"),
    "modules": ("module",),
    "conntrack": ("entry",),
    "cgroups": ("cgroup",),
    "hooks": ("address",),
    "bpf": ("address",),
    "inodes": ("address",),
    "lookups": ("dentry",),
}
# what is said of a row by others: an owner that is gone leaves one alone; a path whose root is gone is seen by nobody;
# a socket whose holder is gone is its namespace's; an address that no interface has any more is just private; what is
# no news for its mount point is some when that is gone; content that was zeroed hashes as such
LOOSE = {
    "container_id", "container_name", "shared_by", "hidden", "pid", "fd", "pids", "seen_in", "accepted", "remote_kind",
    "peer", "noise", "sha256",
}  # fmt: skip
HASHES = {"exe_sha256"}  # content that was zeroed hashes as such
IN_USER_MEMORY = {"args", "environ"}
# lists from which damage may take away, one by one
PARTIAL = {"seen_by", "missing_from", "witnesses", "disagreements", "cgroups", "ipv4", "ipv6", "controllers"}
# numbers of things found, and the text that says where from
COUNTED = {"processes", "containers", "source", "rss", "dirty"}
CGROUP = {
    "cgroup path",
    "cgroup root",
    "cgroup controllers",
    "css_set",
    "cgrp_links",
    "cgroup.root",
    "task_struct.cgroups",
}
WHY = {
    "ppid": {"parent"},
    "comm": {"comm"},
    "args": {"args", "args bounds", "mm"},
    "environ": {"environ", "environ bounds", "mm"},
    "exe": {"exe", "mm"},
    "uid": {"cred"},
    "cap_effective": {"cred"},
    "pids": {"pid", "pid.level", "upid"},
    "cgroups": CGROUP,
    "cgroup_path": CGROUP,
    "user_ns": {"cred", "user namespace"},
    "pid_ns": {"pid", "pid.level", "upid", "pid namespace"},
    **{f"{kind}_ns": {f"{kind} namespace", "nsproxy"} for kind in ("mnt", "net", "ipc", "uts", "cgroup", "time")},
}


@dataclass(frozen=True)
class Clean:
    """An image that nothing happened to. work: addresses that reading it took."""

    memory: PhysicalMemory
    anchors: Anchors
    node: RamSource
    tables: dict[str, list[dict[str, Any]]]
    frames: U64
    kernel_frames: U64
    work: int


@functools.cache
def clean(name: str) -> Clean:
    memory = damaged(case(name).open(), {})
    anchors = locate(memory)
    before = memory.work
    node = RamSource(Kernel(memory, anchors))
    tables = rows_of(node)
    work = memory.work - before
    told = page.pages(Kernel(memory, anchors))
    frames = told.pfn()
    full = np.concatenate(
        [(memory.gather(part << np.uint64(12), 4096)[0] != 0).any(axis=1) for part in np.array_split(frames, 64)]
    )
    return Clean(memory, anchors, node, tables, frames[full], frames[full & (told.use == page.KERNEL)], work)


def read(one: Clean, pages: dict[int, bytes]) -> RamSource | None:
    """The node of the damaged image; None if the engine says that it cannot do without what is gone."""
    memory = damaged(one.memory, pages, limit=one.work * 20)
    try:
        node = RamSource(Kernel(memory, one.anchors))
        rows_of(node)
    except KernelError:
        return None
    return node


def chosen(frames: U64, rate: float, seed: int) -> list[int]:
    rng = np.random.default_rng([seed, int(rate * 100)])
    return [int(frame) for frame in frames[rng.random(len(frames)) < rate]]


def is_thread(one: Clean, node: RamSource, row: dict[str, Any]) -> bool:
    """A thread whose leader is gone is a row of its own."""
    threads = one.node.processes.threads
    known = dict(zip(threads.task.tolist(), zip(threads.pid.tolist(), threads.tgid.tolist(), strict=True), strict=True))
    leaders = {found.pid for found in node.processes.rows if found.pid == found.tgid}
    return known.get(row["task"]) == (row["pid"], row["tgid"]) and row["tgid"] not in leaders


def right(column: str, got: Any, want: Any, row: dict[str, Any]) -> bool:
    if got is None or got == want or column in COUNTED:
        return True
    if column in PARTIAL:
        return bool(set(got) <= set(want or ()))
    if column == "comm" and row["kernel_thread"]:
        return bool(want.startswith(got))  # its full name and its work are kept elsewhere
    if column == "container_path" and row["layer"] not in ("upper", "lower", "merged"):
        return True  # a volume that is mounted at two places, of which the shorter is gone
    if column == "threads":
        return bool(0 < got <= want)
    return column == "state" and got == "unknown"  # of a container


def left_alone(column: str, row: dict[str, Any], old: dict[str, Any]) -> bool:
    """A file that several pods have, of which all but one are gone with the damage; or the node, whose own mount is."""
    shared = old.get("shared_by") or (() if old["pod_uid"] or "nlink" not in old else (row["pod_uid"],))
    return column in ("pod_uid", "pod_name", "namespace") and row["pod_uid"] in shared


def wrong_rows(one: Clean, node: RamSource, skip: set[str]) -> list[tuple[Any, ...]]:
    tables = rows_of(node)
    wrong: list[tuple[Any, ...]] = []
    for table, key in (("processes", "task"), ("containers", "container_id"), ("pods", "pod_uid")):
        before = by(one.tables[table], key)
        for row in tables[table]:
            old = before.get(row[key])
            if old is None:
                if table != "processes" or not is_thread(one, node, row):
                    wrong.append((table, row[key], "is not in the clean image"))
                continue
            wrong += [
                (table, row[key], column, value, old[column])
                for column, value in row.items()
                if column not in skip and not right(column, value, old[column], row)
            ]
    for table, keys in KEYS.items():
        known = {tuple(row[key] for key in keys): row for row in one.tables[table]}
        for row in tables[table]:
            name = tuple(row[key] for key in keys)
            if None in name:
                continue  # of what it is is not known: nothing is claimed
            if name not in known:
                wrong.append((table, name, "is not in the clean image"))
                continue
            wrong += [
                (table, name, column, value, known[name][column])
                for column, value in row.items()
                if column not in LOOSE
                and not right(column, value, known[name][column], row)
                and not left_alone(column, row, known[name])
            ]
            if table == "sockets":
                old = known[name]
                assert set(row["pids"]) <= set(old["pids"]) and row["remote_kind"] in (old["remote_kind"], "private")
    return wrong


def untold(one: Clean, node: RamSource, shown: list[dict[str, Any]] | None = None) -> list[tuple[Any, ...]]:
    """What is missing without a gap that says so. shown: processes, those of the node if not given."""
    kinds = {gap.kind for gap in node.kernel.gaps}
    rows = by(rows_of(node, "processes")["processes"] if shown is None else shown, "task")
    quiet: list[tuple[Any, ...]] = []
    if len(rows) < len(one.tables["processes"]) and not sched.incomplete(node.kernel.gaps):
        quiet.append(("rows", len(rows), sorted(kinds)))
    for old in one.tables["processes"]:
        row = rows.get(old["task"], old)
        for column, why in WHY.items():
            if row[column] is None and old[column] is not None and not kinds & why:
                quiet.append((row["pid"], column, sorted(kinds)))
    return quiet


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", EACH)
def test_zeroed_pages_of_the_kernel(name: str, rate: float) -> None:
    one = clean(name)
    for seed in SEEDS:
        node = read(one, zeroed(chosen(one.kernel_frames, rate, seed)))
        if node is not None:
            assert wrong_rows(one, node, HASHES) == [], f"seed {seed}"
            assert untold(one, node) == [], f"seed {seed}"


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", EACH)
def test_zeroed_pages(name: str, rate: float) -> None:
    one = clean(name)
    for seed in SEEDS:
        node = read(one, zeroed(chosen(one.frames, rate, seed)))
        if node is not None:
            assert wrong_rows(one, node, IN_USER_MEMORY | HASHES) == [], f"seed {seed}"
            assert untold(one, node) == [], f"seed {seed}"


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", EACH)
def test_random_pages(name: str, rate: float) -> None:
    one = clean(name)
    for seed in SEEDS:
        node = read(one, randomised(chosen(one.frames, rate, seed), seed))
        if node is None:
            continue
        before = by(one.tables["processes"], "task")
        for row in rows_of(node, "processes")["processes"]:
            old = before.get(row["task"])
            if old is None:
                assert is_thread(one, node, row), f"seed {seed}: {row}"
                continue
            for column in ("pid", "tgid", "uid", *NAMESPACES):
                assert row[column] in (None, old[column]), f"seed {seed}: pid {old['pid']} {column}"
        assert untold(one, node) == [], f"seed {seed}"


def test_damage_is_seen() -> None:
    """The rules above can fail: a changed value is wrong, a missing row without a gap is untold."""
    read_once = clean(KEPT[0])
    one = replace(read_once, tables=copy.deepcopy(read_once.tables))
    node = read(one, {})
    assert node is not None
    assert (wrong_rows(one, node, set()), untold(one, node), list(node.kernel.gaps)) == ([], [], [])
    shown = rows_of(node, "processes")["processes"]
    victim = shown.pop(5)
    assert untold(one, node, shown) == [("rows", len(one.tables["processes"]) - 1, [])]
    one.tables["processes"][7]["uid"] = 77
    assert [(row[1], row[2]) for row in wrong_rows(one, node, set()) if row[0] == "processes"] == [
        (one.tables["processes"][7]["task"], "uid")
    ]
    assert victim["task"] in by(one.tables["processes"], "task")


@pytest.mark.parametrize("name", EACH)
def test_a_machine_that_stood_still_shows_one_moment(name: str) -> None:
    memory = case(name).open()
    found = smear(Kernel(memory, locate(memory)), contradictions=3)
    assert found.span is not None
    assert found.span < 600_000_000
    clocks = {"timekeeper", "last_jiffies_update", "jiffies", "clock cpu0", "clock cpu1", "idle_entrytime cpu1"}
    assert clocks <= set(found.clocks)
    assert abs(found.clocks["last_jiffies_update"] - found.clocks["timekeeper"]) < 4_000_000  # a tick
    assert found.text() == "all clocks in it show one moment; 0 lists torn, 3 contradicting claims"
    assert found.facts()["seconds"] == round(found.span / 1e9, 3)


@pytest.mark.parametrize(
    ("symbol", "change", "least", "most"),
    [
        ("last_jiffies_update", -5 * 10**9, 4.9e9, 5.6e9),
        ("last_jiffies_update", 5 * 10**9, 4.9e9, 5.6e9),
        ("jiffies_64", 5 * 250, 4.9e9, 5.6e9),
        ("jiffies_64", -5 * 250, 0, 0.6e9),  # lost while the machine booted, as far as anybody can tell
    ],
)
def test_a_clock_whose_page_was_read_earlier_or_later(
    symbol: str, change: int, least: float, most: float
) -> None:
    memory = case("s-6.1-small").open()
    anchors = locate(memory)
    where = anchors.image_pa(anchors.symbols[symbol])
    other = int.from_bytes(memory.read(where, 8), "little") + change
    torn = smear(Kernel(damaged(memory, patched(memory, {where: other.to_bytes(8, "little")})), anchors))
    assert torn.span is not None and least <= torn.span <= most
    words = "it was read over 5.0 s at least, while its machine ran" if least else "all clocks in it show one moment"
    assert torn.text().startswith(words)


def test_ticks_that_were_lost_while_the_machine_booted_are_no_smear() -> None:
    """s-5.10-small-v1 stood still; its jiffies are 0.37 s behind its clock."""
    memory = case("s-5.10-small-v1").open()
    found = smear(Kernel(memory, locate(memory)))
    assert found.span is not None
    assert found.clocks["timekeeper"] - found.clocks["jiffies"] > 370_000_000 > 10 * found.span


def test_without_a_clock_nothing_is_claimed() -> None:
    memory = case("s-6.1-small").open()
    anchors = locate(memory)
    at = anchors.image_pa(anchors.symbols["tk_core"]) >> 12
    found = smear(Kernel(damaged(memory, zeroed(range(at, at + 1))), anchors))
    assert (found.span, found.clocks) == (None, {})
    assert found.text().startswith("how long the capture took is not known")
