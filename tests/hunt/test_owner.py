# SPDX-License-Identifier: Apache-2.0
"""Strings planted in known pods are found with exactly the right owners, and strings not planted are not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memir.hunt.hit import Hit
from memir.hunt.hunt import Hunt
from memir.hunt.memory import read_memory
from memir.hunt.owner import id_of, mapped_at, masked_secret
from memir.hunt.wanted import Wanted
from memir.kernel.page import FREE, KERNEL
from memir.kube.ram import RamSource
from memir.kube.secrets import Secrets
from tests.hunt.hunting import SMALLEST, WHO, owners, planted, rules, run, strings
from tests.images import case, cases, intruded
from tests.kernel import held
from tests.lab.held import page

NodeOf = Callable[[str], RamSource]
MARK = "MEMIR-PLANTED-BY-A-TEST-41b7"
SMALL = [name for name in sorted(cases()) if "small" in name]


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
    if case(name).small:
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
    "Kubernetes": (
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
    made = "intruded" if name.endswith("-intruded") else "Kubernetes"
    path, text, files_expected, mapped_expected, several = SHARED[made]
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


def test_mapped_at(node_of: NodeOf) -> None:
    """Where frames are mapped, as the page tables have it read leaf by leaf."""
    node = node_of("s-6.1-small")
    threads = node.processes.threads
    memory = read_memory(node.kernel, threads.task, threads.tgid)
    maps = memory.mappings
    leaves = np.linspace(0, len(maps.va) - 1, 40).astype(int).tolist()
    frames = np.unique(maps.pa[leaves] >> np.uint64(12))
    expected: dict[int, set[tuple[int, int]]] = {frame: set() for frame in frames.tolist()}
    for owner, va, pa, size in zip(
        *(column.tolist() for column in (maps.owner, maps.va, maps.pa, maps.size)), strict=True
    ):
        for frame in frames[(frames >= pa >> 12) & (frames < (pa + size) >> 12)].tolist():
            expected[frame].add((owner, (va >> 12) + frame - (pa >> 12)))
    found = mapped_at(memory, frames)
    assert {frame: set(places) for frame, places in found.items()} == expected


def test_free_and_kernel_pages(node_of: NodeOf, tmp_path: Path) -> None:
    """What an exited process left: a free page with old content. Also in the kernel's own memory."""
    small = node_of(SMALLEST)
    threads = small.processes.threads
    memory = read_memory(small.kernel, threads.task, threads.tgid)
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


def test_what_a_rule_calls_secret_is_masked_and_can_be_revealed(node_of: NodeOf, tmp_path: Path) -> None:
    secret = case(SMALLEST).raw_truth()["secret"]["heap_secret"]
    ruleset = rules(tmp_path, f'rule S : secret {{ strings: $a = "{secret}" condition: $a }}')
    node = node_of(SMALLEST)
    found = run(node, ruleset)
    (row,) = found.rows
    assert who([row]) == {("process", pids(SMALLEST, "secretd")[0], "miner", "miner-0", "dev")}
    digest = hashlib.sha256(secret.encode()).hexdigest()[:16]
    assert row["data"] == f"MEMI... ({len(secret)} bytes, sha256 {digest})"
    assert secret not in repr(found.rows)
    (kept,) = found.secrets.values()
    assert (list(found.secrets), kept.kind) == ([row["hit_id"]], "key")
    shown = run(node, ruleset, show_secrets=True)
    assert [one["data"] for one in shown.rows] == [secret]
    assert secret not in repr(shown.masked)


def test_id_of() -> None:
    def hit(data: bytes, *tags: str, offset: int = 8) -> Hit:
        return Hit("R", "n", tags, (), "$a", (7,), offset, 6, data, b"", b"", "process", None)

    assert id_of(hit(b"secret")) == id_of(hit(b"secret")) != id_of(hit(b"secreT"))
    assert id_of(hit(b"secret", "secret")) == id_of(hit(b"secreT", "secret")), "no hash of a secret's text"
    assert id_of(hit(b"secret")) != id_of(hit(b"secret", offset=9))


def test_a_process_whose_place_is_not_known(node_of: NodeOf, tmp_path: Path) -> None:
    """It is neither a pod's nor the node's, and its hits say so."""
    node = RamSource(node_of("s-6.1-small").kernel)
    secret = case("s-6.1-small").raw_truth()["secret"]["heap_secret"]
    (pid,) = pids("s-6.1-small", "secretd")
    identity = next(
        identity for row, identity in zip(node.processes.rows, node.identities, strict=True) if row.pid == pid
    )
    identity.container_id = identity.pod_uid = identity.in_container = None
    (row,) = run(node, strings(tmp_path, secret)).rows
    assert who([row]) == {("process", pid, None, None, None)}
    assert row["source"] == "page table; place of the process not known"


def test_a_page_that_was_swapped_out(tmp_path: Path) -> None:
    """It lies in zram: the hit is the process's, at its virtual address, and has no physical one."""
    record = held.swapped()["lzo-rle"]
    text = "memir-swap lzo-rle page 000123 line 007"
    result = run(held.node(), strings(tmp_path, text), kinds=frozenset({"process"}))
    (row,) = [row for row in result.rows if row["pid"] == record["pid"]]
    assert (row["owner"], row["paddr"], row["data"]) == ("process", None, text)
    assert row["source"].startswith("page table; swapped out")
    assert row["vaddr"] - record["address"] - 123 * 4096 == text_offset(text)


def text_offset(text: str) -> int:
    return page("lzo-rle", 123).index(text.encode())


def test_a_secret_that_is_not_whole_has_no_fingerprint() -> None:
    data, meta = b"token=0123456789abcdef01", (("secret", "[0-9a-f]{10,}"),)
    whole = Hit("r", "n", ("secret",), meta, "$a", (1,), 0, len(data), data, b"", b"", "process", {1})
    text, secret = masked_secret(whole, Secrets(b"k" * 32))
    assert "0123456789abcdef01" not in text
    assert secret is not None
    cut, none = masked_secret(replace(whole, length=900), Secrets(b"k" * 32))
    assert none is None
    assert "0123456789abcdef01" not in cut
