# SPDX-License-Identifier: Apache-2.0
"""Strings planted in known pods are found with exactly the right owners, and strings not planted are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memir.hunt.hunt import Hunt
from memir.hunt.memory import Memory, read_memory
from memir.hunt.units import file_units, process_units
from memir.hunt.wanted import Wanted
from memir.kernel.page import ANON, FREE, KERNEL
from memir.kube.ram import RamSource
from tests.hunt.hunting import PAGE, owners, planted, rules, run, strings
from tests.images import case, cases, intruded

NodeOf = Callable[[str], RamSource]
SMALL = [name for name in sorted(cases()) if "small" in name]
WHO = ("owner", "pid", "container_name", "pod_name", "namespace")
MARK = "MEMIR-PLANTED-BY-A-TEST-41b7"


def pids(name: str, comm: str) -> list[int]:
    return sorted(pid for pid, truth in case(name).recorded().items() if truth.comm == comm)


def of_rule(found: Hunt, rule: str) -> list[dict[str, Any]]:
    return [row for row in found.rows if row["rule"] == rule]


def who(rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {tuple(row[column] for column in WHO) for row in rows}


@pytest.mark.parametrize("name", SMALL)
def test_small_images(node_of: NodeOf, name: str, tmp_path: Path) -> None:
    secret = case(name).raw_truth()["secret"]["heap_secret"]
    program, log, absent = "server up on %d", "server up on 8080", "MEMIR-NEVER-PLANTED-5e1d"
    found = run(node_of(name), strings(tmp_path, secret, program, log, absent))
    heap = of_rule(found, "R0")
    assert who(heap) == {("process", pids(name, "secretd")[0], "miner", "miner-0", "dev")}
    assert len(heap) == 1 and heap[0]["data"] == secret and heap[0]["length"] == len(secret)
    assert of_rule(found, "R3") == []
    # a log in the upper layer of one container, which no process maps
    (written,) = of_rule(found, "R2")
    assert (written["owner"], written["path"], written["deleted"]) == ("file cache", "/tmp/server.log", False)
    assert who([written]) == {("file cache", None, "web", "web-7d4b9c6f5-abcde", "shop")}
    # one program, many copies
    rows = of_rule(found, "R1")
    gone = [row for row in rows if row["deleted"]]
    assert {(row["path"], row["container_name"], row["pod_name"]) for row in gone} == {
        ("/tmp/dropper", "miner", "miner-0"),
        ("/memfd:x", "miner", "miner-0"),
    }
    for path, comm in (("/tmp/dropper", "dropper"), ("/memfd:x", "kworker/u8:3")):
        at = {row["paddr"] for row in gone if row["path"] == path}
        assert who([row for row in rows if row["paddr"] in at and row["owner"] == "process"]) == {
            ("process", pids(name, comm)[0], "miner", "miner-0", "dev")
        }
    # one page of a shared layer, mapped in three pods: one hit, an owner each
    pause = {row["hit_id"] for row in rows if row["path"] == "/pause"}
    mapped = [row for row in rows if row["hit_id"] in pause and row["owner"] == "process"]
    assert {row["pod_name"] for row in mapped} == {"web-7d4b9c6f5-abcde", "miner-0", "agent-x9z2k"}
    assert sorted(row["pid"] for row in mapped) == pids(name, "pause") and len({row["paddr"] for row in mapped}) == len(
        pause
    )
    assert {row["owner"] for row in found.rows} <= {"process", "file cache"}


@pytest.mark.parametrize("name", intruded())
def test_a_kubernetes_node(node_of: NodeOf, name: str, tmp_path: Path) -> None:
    node = node_of(name)
    found = run(
        node, strings(tmp_path, "XMRIG-AAAAAAAAAAAAAAAA", "card-4111111111110007-exp-12/29", "MEMIR-NEVER-PLANTED-5e1d")
    )
    api = next(pod for pod in node.pods.values() if (pod.pod_name or "").startswith("api-"))
    miner = next(one.pid for one in node.processes.rows if (one.exe or "").endswith("/kworkerds"))
    assert who(of_rule(found, "R0")) == {("process", miner, "api", api.pod_name, "shop")}
    cards = of_rule(found, "R1")
    assert cards and {row["pod_uid"] for row in cards if row["owner"] == "process"} == {api.pod_uid}
    assert of_rule(found, "R2") == []


def maps_of(name: str, path: str) -> dict[int, list[list[int]]]:
    """Where /proc/PID/maps had a file, by pid."""
    raw = case(name).raw_truth()
    if case(name).truth.suffix == ".txt":
        lines = {one["pid"]: [line.split(None, 5) for line in one.get("maps", "").splitlines()] for one in raw["proc"]}
    else:
        lines = {task["pid"]: task["vmas"] or [] for task in raw["tasks"]}
    return {
        pid: [[int(side, 16) for side in line[0].split("-")] for line in regions if line[-1] == path]
        for pid, regions in lines.items()
    }


Names = set[tuple[str | None, str | None]]
# a file, a text in it, who has each copy in the file cache, who maps each copy, and more than how many processes do
SHARED: dict[str, tuple[str, str, list[Names], list[Names], int]] = {
    # one copy in the node's root, one in the layer that containers share (the container of no pod too); `hostescape`
    # and two processes that are in part miner-0's run the node's own program
    "intruded": (
        "/bin/busybox",
        "BusyBox v1.35.0 (Debian",
        [
            {(None, None)},
            {
                (None, None), ("dev", "miner"), ("kube-system", "agent"), ("shop", "api"), ("shop", "sidecar"),
                ("shop", "toolbox"), ("shop", "web"),
            },
        ],
        [
            {(None, None), ("dev", "miner"), ("dev", None), ("shop", "toolbox")},
            {
                (None, None), ("dev", "miner"), ("kube-system", "agent"), ("shop", "api"), ("shop", "toolbox"),
                ("shop", "web"),
            },
        ],
        5,
    ),
    "node-6.1": (
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "GNU C Library (Debian GLIBC",
        [{(None, None)}, {("shop", "nginx"), ("shop", "api")}],
        [{(None, None), ("shop", "toolbox")}, {("shop", "nginx"), ("shop", "api")}],
        10,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", intruded())
def test_text_of_a_shared_file(node_of: NodeOf, name: str, tmp_path: Path) -> None:
    """One page of a file that many processes map is one hit with a row for each. /proc/PID/maps says who may map it,
    and at which addresses."""
    path, text, files_expected, mapped_expected, several = SHARED["intruded" if name.endswith("-intruded") else name]
    maps = maps_of(name, path)
    rows = run(node_of(name), strings(tmp_path, text)).rows
    hits: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        hits.setdefault(row["hit_id"], []).append(row)
    copies = [hit for hit in hits.values() if any(row["path"] == path for row in hit)]
    assert len(copies) == 2
    owners_of, mapped_by = [], []
    for hit in copies:
        mapped = [row for row in hit if row["owner"] == "process"]
        assert len(mapped) > several
        assert len({row["pid"] for row in mapped}) == len(mapped)
        for row in mapped:
            assert any(low <= row["vaddr"] < high for low, high in maps[row["pid"]]), row["pid"]
        files = [row for row in hit if row["owner"] == "file cache"]
        assert {(row["path"], row["deleted"]) for row in files} == {(path, False)}
        owners_of.append({(row["namespace"], row["container_name"]) for row in files})
        mapped_by.append({(row["namespace"], row["container_name"]) for row in mapped})
    copies_of = sorted(zip(owners_of, mapped_by, strict=True), key=lambda copy: len(copy[0]))
    assert copies_of == list(zip(files_expected, mapped_expected, strict=True))


@pytest.fixture(scope="module")
def small(node_of: NodeOf) -> RamSource:
    name = next((name for name in SMALL if "5.10" in name), SMALL[0])
    return node_of(name)


@pytest.fixture(scope="module")
def memory(small: RamSource) -> Memory:
    threads = small.processes.threads
    return read_memory(small.kernel, threads.task, threads.tgid)


def everyone(memory: Memory) -> Any:
    return np.ones(len(memory.mm), bool)


def halves(first: int, second: int) -> dict[int, bytes]:
    """The mark, its first half at the end of one frame and its second at the start of another."""
    middle = len(MARK) // 2
    return {(first << 12) + PAGE - middle: MARK[:middle].encode(), second << 12: MARK[middle:].encode()}


def apart(units: list[Any], memory: Memory, use: int | None = None) -> tuple[Any, int]:
    """A unit and the place of a page in it whose successor lies elsewhere in RAM."""
    for unit in units:
        far = (np.diff(unit.place) == 1) & (np.diff(unit.pfn.astype(np.int64)) != 1)
        if use is not None:
            far &= (memory.pages.use_of(unit.pfn[:-1]) == use) & (memory.pages.use_of(unit.pfn[1:]) == use)
        if far.any():
            return unit, int(np.flatnonzero(far)[0])
    raise AssertionError("no such unit")


def test_over_two_distant_pages_of_a_process(small: RamSource, memory: Memory, tmp_path: Path) -> None:
    unit, at = apart(
        [one for one in process_units(memory, everyone(memory), True) if one.mms is not None and len(one.mms) == 1],
        memory,
        ANON,
    )
    first, second = unit.pfn[at : at + 2].tolist()
    found = run(planted(small, halves(first, second)), strings(tmp_path, MARK))
    (row,) = found.rows
    assert row["paddr"] == (first << 12) + PAGE - len(MARK) // 2 and row["owner"] == "process"
    assert [row["pid"]] == memory.pids[unit.mms[0]]
    assert int(unit.name.split()[3].split("-")[0], 16) + (int(unit.place[at]) << 12) == row["vaddr"] & ~0xFFF
    # the other way round the halves do not meet
    assert run(planted(small, halves(second, first)), strings(tmp_path, MARK)).rows == []


def test_over_two_distant_pages_of_a_file(small: RamSource, memory: Memory, tmp_path: Path) -> None:
    unit, at = apart(file_units(memory), memory)
    first, second = unit.pfn[at : at + 2].tolist()
    found = run(planted(small, halves(first, second)), strings(tmp_path, MARK))
    assert {row["hit_id"] for row in found.rows} == {found.rows[0]["hit_id"]}
    assert "file cache" in {row["owner"] for row in found.rows}
    assert all(row["path"] for row in found.rows if row["owner"] == "file cache")


def test_neighbours_of_different_owners_do_not_meet(small: RamSource, memory: Memory, tmp_path: Path) -> None:
    use = memory.pages.use
    at = int(np.flatnonzero((use[:-1] == KERNEL) & (use[1:] == ANON) & memory.nonzero[:-1] & memory.nonzero[1:])[0])
    first, second = memory.pages.pfn()[at : at + 2].tolist()
    assert run(planted(small, halves(first, second)), strings(tmp_path, MARK)).rows == []


def test_free_and_kernel_pages(small: RamSource, memory: Memory, tmp_path: Path) -> None:
    """What an exited process left: a free page with old content. Also in the kernel's own memory."""
    every = memory.pages.pfn()
    free = every[memory.pages.use == FREE]
    kernel = every[(memory.pages.use == KERNEL) & memory.nonzero]
    places = [(int(one) << 12) + 100 for one in (free[0], free[len(free) // 2], kernel[len(kernel) // 2])]
    other = planted(small, dict.fromkeys(places, MARK.encode()))
    found = run(other, strings(tmp_path, MARK))
    columns = ("owner", "paddr", "pid", "container_id", "path")
    assert owners(found, *columns) == {
        ("free", places[0], None, None, None),
        ("free", places[1], None, None, None),
        ("kernel", places[2], None, None, None),
    }
    assert owners(run(other, strings(tmp_path, MARK), kinds=frozenset({"free"})), "paddr") == {
        (places[0],),
        (places[1],),
    }
    assert run(other, strings(tmp_path, MARK), wanted=Wanted(pods=frozenset({"miner-0"}))).rows == []


def test_scopes(small: RamSource, tmp_path: Path) -> None:
    """Heap and environment are two regions of one process."""
    text = 'rule R { strings: $a = "MEMIR-HEAP-SECRET-" $b = "HOSTNAME=miner-0" condition: all of them }'
    ruleset = rules(tmp_path, text)
    process = frozenset({"process"})
    assert run(small, ruleset, kinds=process).rows == []
    found = run(small, ruleset, kinds=process, scope="process")
    assert {row["string"] for row in found.rows} == {"$a", "$b"} and len({row["pid"] for row in found.rows}) == 1
    positional = rules(tmp_path, text.replace("all of them", "all of them and filesize > 0"))
    again = run(small, positional, kinds=process, scope="process")
    assert owners(again, "hit_id", "pid") == owners(found, "hit_id", "pid")


def test_only_what_was_asked_for(small: RamSource, tmp_path: Path) -> None:
    ruleset = strings(tmp_path, "server up on")
    everything = run(small, ruleset).rows
    for wanted, column, value in (
        (Wanted(pods=frozenset({"miner-0"})), "pod_name", "miner-0"),
        (Wanted(namespaces=frozenset({"shop"})), "namespace", "shop"),
        (Wanted(containers=frozenset({"miner"})), "container_name", "miner"),
    ):
        found = run(small, ruleset, wanted=wanted)
        expected = [row for row in everything if row[column] == value]
        assert owners(found, "hit_id", *WHO) == {tuple(row[one] for one in ("hit_id", *WHO)) for row in expected}
    pid = next(row["pid"] for row in everything if row["pid"])
    assert owners(run(small, ruleset, wanted=Wanted(pids=frozenset({pid}))), "pid") == {(pid,)}


def test_every_kind_of_rule_finds_the_same_as_the_plain_one(small: RamSource, tmp_path: Path) -> None:
    """A rule that is not monotone takes another way through memory."""
    plain = run(small, rules(tmp_path, 'rule R { strings: $a = "server up on" condition: $a }'))
    other = run(small, rules(tmp_path, 'rule R { strings: $a = "server up on" condition: $a and filesize > 0 }'))
    assert owners(plain, *WHO, "paddr", "vaddr", "path") == owners(other, *WHO, "paddr", "vaddr", "path")
