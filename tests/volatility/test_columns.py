# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Stock plugins, run by memir: every column that /proc has a word for, against what /proc said on the node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from memir.symbols.locate import locate
from memir.volatility.run import Host
from tests.images import case
from tests.volatility.columns import CHECKS

NAMES = ("s-5.10-small-v1", "s-6.1-small")


@pytest.fixture(
    scope="module",
    params=[pytest.param(NAMES[0], marks=pytest.mark.long("the same plugins on another image")), NAMES[1]],
)
def node(request: pytest.FixtureRequest) -> Iterator[tuple[str, Host]]:
    with case(request.param).open() as memory:
        yield request.param, Host(memory, locate(memory))


@pytest.mark.parametrize("plugin", CHECKS)
def test_columns(node: tuple[str, Host], plugin: str) -> None:
    name, host = node
    rows = list(host.run(plugin).dicts())
    assert rows
    assert CHECKS[plugin](case(name).raw_truth(), rows) == []


CLEAN = ("check_modules.Check_modules", "check_afinfo.Check_afinfo", "check_creds.Check_creds")


@pytest.mark.parametrize("plugin", CLEAN)
def test_a_clean_node_has_no_row(node: tuple[str, Host], plugin: str) -> None:
    assert list(node[1].run(f"linux.malware.{plugin}").dicts()) == []


@pytest.fixture(scope="module")
def names(node: tuple[str, Host]) -> dict[object, set[str]]:
    """Every name of an address that the image's own kallsyms has, as volatility3 shows addresses (48 bits)."""
    listed: dict[object, set[str]] = {}
    with case(node[0]).open() as memory:
        symbols = locate(memory).symbols
        pairs = zip(symbols.names.decode().split("\0"), symbols.addresses.tolist(), strict=False)
        for symbol, value in pairs:
            listed.setdefault(value & (1 << 48) - 1, set()).add(symbol)
    return listed


def test_system_calls(node: tuple[str, Host], names: dict[object, set[str]]) -> None:
    """Every slot of the tables: its number once, and a name that kallsyms has at the handler's address.

    Numbers of arch/x86/entry/syscalls/syscall_64.tbl, which no kernel changes.
    """
    rows = list(node[1].run("linux.malware.check_syscall.Check_syscall").dicts())
    tables = {row["Table Name"] for row in rows}
    assert {"64bit"} <= tables <= {"64bit", "32bit"}
    for table in tables:
        mine = [row for row in rows if row["Table Name"] == table]
        assert [row["Index"] for row in mine] == list(range(len(mine))) and len(mine) > 400
        # volatility3 gives where the table was linked, without KASLR's shift
        symbol = "sys_call_table" if table == "64bit" else "ia32_sys_call_table"
        with case(node[0]).open() as memory:
            anchors = locate(memory)
        assert {row["Table Address"] for row in mine} == {
            (anchors.symbols[symbol] - (anchors.shift or 0)) & (1 << 48) - 1
        }
    assert [row for row in rows if row["Handler Symbol"] not in names[row["Handler Address"]]] == []
    shown = {row["Index"]: row["Handler Symbol"] for row in rows if row["Table Name"] == "64bit"}
    for number, name in {
        0: "read",
        1: "write",
        2: "open",
        9: "mmap",
        59: "execve",
        101: "ptrace",
        319: "memfd_create",
    }.items():
        assert shown[number] == f"__x64_sys_{name}"


def test_terminals(node: tuple[str, Host], names: dict[object, set[str]]) -> None:
    """The console alone has a line discipline, the kernel's own; every process's terminal is it."""
    (row,) = node[1].run("linux.malware.tty_check.Tty_Check").dicts()
    assert (row["Name"], row["Module"], row["Symbol"]) == ("ttyS0", "__kernel__", "n_tty_receive_buf")
    assert row["Symbol"] in names[row["Address"]]


def test_interrupts_have_their_names(node: tuple[str, Host], names: dict[object, set[str]]) -> None:
    rows = list(node[1].run("linux.malware.check_idt.Check_idt").dicts())
    assert [row for row in rows if row["Module"] == "__kernel__" and row["Symbol"] not in names[row["Address"]]] == []
    shown = {row["Index"]: row["Symbol"] for row in rows}
    assert {number: shown[number] for number in (0, 3, 13, 14)} == {
        0: "asm_exc_divide_error", 3: "asm_exc_int3", 13: "asm_exc_general_protection", 14: "asm_exc_page_fault",
    }  # fmt: skip


def test_modules_by_three_witnesses(node: tuple[str, Host]) -> None:
    """Name and taints of /proc/modules, in every list; none is hidden, none of the notifiers is there."""
    loaded = {line.split()[0] for line in case(node[0]).raw_truth()["sys"]["modules"].splitlines()}
    rows = list(node[1].run("linux.malware.modxview.Modxview").dicts())
    assert {row["Name"] for row in rows} == loaded
    assert {(row["In procfs"], row["In sysfs"], row["In scan"], row["Taints"]) for row in rows} == {
        (True, True, True, None)
    }
    for plugin in ("hidden_modules.Hidden_modules", "keyboard_notifiers.Keyboard_notifiers"):
        assert list(node[1].run(f"linux.malware.{plugin}").dicts()) == []


def test_netfilter_hooks_are_the_kernels(node: tuple[str, Host], names: dict[object, set[str]]) -> None:
    """AppArmor's, in each namespace; addresses by name, none said to be hooked."""
    rows = list(node[1].run("linux.malware.netfilter.Netfilter").dicts())
    spaces = {int(net["netns"].split("[")[1][:-1]) for net in case(node[0]).raw_truth()["net"]}
    assert {row["Net NS"] for row in rows} <= spaces and rows
    assert [row for row in rows if row["Symbol"] not in names[row["Handler"]]] == []
    assert {(row["Hook"], row["Priority"], row["Module"], row["Is Hooked"]) for row in rows} == {
        ("POST_ROUTING", -225, "__kernel__", "False")
    }


def test_a_clean_node_has_the_kernels_own_interrupts(node: tuple[str, Host]) -> None:
    rows = list(node[1].run("linux.malware.check_idt.Check_idt").dicts())
    assert len(rows) > 20
    # without machine checks vector 18 keeps early_idt_handler_array + 18 * 9, in the init text, which volatility3 lacks
    assert {row["Index"]: row["Module"] for row in rows if row["Module"] != "__kernel__"} in ({}, {18: None})
