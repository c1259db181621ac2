# SPDX-License-Identifier: Apache-2.0
"""Clean kernels have nothing unexpected; each thing that is changed in one gives exactly its row."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from memir.kernel.engine import Kernel
from memir.kernel.reference_text import read_reference
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols
from memir.tables.hooks import CHECKS, TABLE, read
from memir.tables.modules import TABLE as MODULES
from tests.images import ROOT
from tests.kernel.hooked import IMAGES, X86, changed, free_place, kinds, offset, word

NodeOf = Callable[[str], RamSource]
Row = dict[str, Any]


@functools.lru_cache(maxsize=4)
def rows_before(node: RamSource) -> list[Row]:
    """Of an image as it is."""
    return TABLE.read(node).rows()


def rows_of(node: RamSource, bytes_at: Mapping[int, bytes]) -> list[Row]:
    """Rows that the changes add; none of those before is lost."""
    before = rows_before(node)
    after = TABLE.read(changed(node, bytes_at)).rows()
    assert [row for row in before if row not in after] == []
    return [row for row in after if row not in before]


def modules_of(node: RamSource) -> dict[str, Row]:
    return {row["name"]: row for row in MODULES.read(node).rows()}


def told(row: Row) -> tuple[Any, ...]:
    return row["kind"], row["name"], row["judgement"], row["symbol"], row["module"]


def test_nothing_unexpected_on_clean_kernels(image: str, node_of: NodeOf) -> None:
    """Netfilter's hooks alone, all in the text of the kernel or of modules; what could not be checked is a gap."""
    node = node_of(image)
    rows = TABLE.read(node).rows()
    assert {(row["kind"], row["judgement"]) for row in rows} == {("netfilter", "expected")}
    lacking = "sys_call_table" not in node.kernel.symbols
    unchecked = {
        "system call table", "ftrace", "function entries", "kprobes", "tracepoints", "terminals", "core_pattern",
        "modprobe_path",
    }  # fmt: skip
    assert kinds(node) & set(CHECKS) == (unchecked if lacking else set())
    assert [row["name"] for row in rows if row["symbol"] is None] == []


def test_netfilter_of_a_node(image: str, node_of: NodeOf) -> None:
    """node-6.1: the 29 of volatility3's linux.netfilter, by module; selinux' and AppArmor's in every namespace."""
    rows = TABLE.read(node_of(image)).rows()
    counts = Counter(row["module"] or "kernel" for row in rows)
    spaces = {row["net_ns"] for row in rows}
    assert spaces <= set(node_of(image).net_namespaces[1].tolist()) and None not in spaces
    if image == "node-6.1":
        assert counts == {"kernel": 14, "br_netfilter": 7, "nf_conntrack": 4, "nf_defrag_ipv4": 2,
                          "nf_tables": 2}  # fmt: skip
    else:
        assert set(counts) == {"kernel"}
        assert len({(row["net_ns"], row["name"], row["symbol"]) for row in rows}) == len(rows)


@pytest.mark.parametrize("name", IMAGES)
def test_changed_system_call(name: str, node_of: NodeOf) -> None:
    """Into a module, into the middle of a function, to a function that is none of a system call, to nowhere."""
    node = node_of(name)
    symbols = node.kernel.symbols
    place = symbols["sys_call_table"] + 8 * 62
    targets = (symbols["do_exit"], symbols["_stext"] + 0x1234, free_place(node), symbols["init_task"])
    for target in targets:
        (row,) = rows_of(node, {place: word(target)})
        assert (row["kind"], row["name"], row["judgement"]) == ("system call", "sys_call_table[62]", "unexpected")
        assert (row["target"], row["module"], row["address"]) == (target, None, place)


@pytest.mark.parametrize("name", IMAGES)
def test_system_call_of_a_module(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    target = int(modules_of(node)["veth"]["base"])
    place = node.kernel.symbols["sys_call_table"] + 8 * 62
    (row,) = rows_of(node, {place: word(target)})
    assert (row["judgement"], row["module"], row["why"]) == ("unexpected", "veth", "function of a module")


@pytest.mark.parametrize("name", X86)
def test_changed_interrupt(name: str, node_of: NodeOf) -> None:
    """Vector 128 (int 0x80) leads into data; one that was never set is not accused."""
    node = node_of(name)
    place = node.kernel.symbols["idt_table"] + 16 * 128
    target = node.kernel.symbols["init_task"]
    raw = bytearray(node.kernel.read_bytes(u64(place), 16)[0][0].tobytes())
    raw[0:2], raw[6:8], raw[8:12] = (
        target.to_bytes(8, "little")[part] for part in (slice(0, 2), slice(2, 4), slice(4, 8))
    )
    raw[5] |= 0x80
    (row,) = rows_of(node, {place: bytes(raw)})
    assert told(row) == ("interrupt", "vector 128", "unexpected", None, None)
    assert row["target"] == target


def kprobe(node: RamSource, handler: int) -> dict[int, bytes]:
    """A struct kprobe on the system call kill, in a bucket of the kernel's table."""
    place = free_place(node)
    probed = node.kernel.symbols["do_exit"]
    return {
        place - 8: bytes(264),
        place + offset(node, "kprobe", "addr"): word(probed),
        place + offset(node, "kprobe", "pre_handler"): word(handler),
        node.kernel.symbols["kprobe_table"] + 8 * 5: word(place + offset(node, "kprobe", "hlist")),
    }


@pytest.mark.parametrize("name", IMAGES)
def test_kprobe(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    veth = int(modules_of(node)["veth"]["base"])
    (row,) = rows_of(node, kprobe(node, veth))
    assert (row["kind"], row["name"], row["judgement"]) == ("kprobe", "do_exit (pre_handler)", "review")
    assert (row["module"], row["target"]) == ("veth", veth)
    (row,) = rows_of(node, kprobe(node, node.kernel.symbols["do_exit"]))
    assert told(row) == ("kprobe", "do_exit (pre_handler)", "expected", "do_exit", None)
    (row,) = rows_of(node, kprobe(node, node.kernel.symbols["init_task"]))
    assert told(row) == ("kprobe", "do_exit (pre_handler)", "unexpected", None, None)


@pytest.mark.parametrize("name", IMAGES)
def test_kprobe_of_a_module_that_hides(name: str, node_of: NodeOf) -> None:
    """veth taken out of the list of modules: what it probes is unexpected then."""
    node = node_of(name)
    row = modules_of(node)["veth"]
    link = row["module"] + offset(node, "module", "list")
    after, before = node.kernel.pointers(u64(link, link + 8)).tolist()
    unlink = {before: word(after), after + 8: word(before)}
    (hook,) = rows_of(node, kprobe(node, row["base"]) | unlink)
    assert (hook["judgement"], hook["why"], hook["module"]) == ("unexpected", "function of a module that hides", "veth")


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize(
    ("variable", "value", "judgement"),
    [
        ("core_pattern", b"|/proc/4026/root/tmp/x %p", "unexpected"),
        ("core_pattern", b"|/usr/lib/systemd/systemd-coredump %P %u", "expected"),
        ("core_pattern", b"/var/core/%e.%p", "review"),
        ("modprobe_path", b"/tmp/x", "unexpected"),
        ("modprobe_path", b"/usr/sbin/modprobe", "expected"),
    ],
)
def test_paths_of_programs(name: str, variable: str, value: bytes, judgement: str, node_of: NodeOf) -> None:
    node = node_of(name)
    (row,) = rows_of(node, {node.kernel.symbols[variable]: value + b"\0"})
    assert (row["kind"], row["value"], row["judgement"]) == (variable, value.decode(), judgement)
    assert (row["target"], row["address"]) == (None, node.kernel.symbols[variable])


def test_text_and_data_against_the_build(node_of: NodeOf) -> None:
    """samples/s-6.1-small.vmlinuz is a part of the kernel's build: a byte of text and one of data are a row each."""
    clean = node_of("s-6.1-small")
    reference = read_reference(ROOT / "samples" / "s-6.1-small.vmlinuz", clean.kernel)
    text, data = (reference.start + int(np.flatnonzero(reference.judged)[place]) for place in (1000, -1000))
    for bytes_at, kinds_told in (({}, []), ({text: b"\x06", data: b"\x06"}, ["rodata", "text"])):
        node = changed(clean, bytes_at)
        node.reference = reference
        rows = [row for row in TABLE.read(node).rows() if row not in rows_before(clean)]
        assert [(row["kind"], row["judgement"], row["source"]) for row in rows] == [
            (kind, "unexpected", "--reference") for kind in kinds_told
        ]
        assert sorted(row["address"] for row in rows) == sorted(bytes_at)
        assert all(row["value"].endswith("-> 06") for row in rows)
        assert "kernel text" in kinds(node)


def test_where_text_lies_is_not_known(node_of: NodeOf) -> None:
    """Without kallsyms nothing of code is judged, and each check is a gap by its name."""
    clean = node_of("s-6.1-small").kernel
    node = RamSource(Kernel(clean.memory, dataclasses.replace(clean.anchors, symbols=Symbols.from_pairs([], "none"))))
    assert len(read(node)) == 0
    assert kinds(node) >= set(CHECKS)


def test_rows_are_sorted_and_each_has_a_place_of_its_own(image: str, node_of: NodeOf) -> None:
    frame = read(node_of(image))
    rows = list(zip(frame["kind"], frame["net_ns"], frame["name"], frame["address"], strict=True))
    assert rows == sorted(rows) and len(set(frame["address"])) == len(rows)
