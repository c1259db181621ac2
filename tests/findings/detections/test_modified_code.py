# SPDX-License-Identifier: Apache-2.0
"""Code that is another in memory than in its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from memir.kube.ram import RamSource
from tests.damage import PAGE
from tests.findings.real import INTRUDED, NODE, SMALL, brief, kind, of_source, on_the_node
from tests.injected import changed, written

NodeOf = Callable[[str], RamSource]
KIND = "modified-code"


def secretd(node: RamSource) -> int:
    return next(process.pid for process in node.processes.rows if process.comm == "secretd")


@pytest.mark.parametrize(
    ("changes", "severity", "words"),
    [
        ({0x10: b"\x48\xb8secrets!\xff\xe0"}, "high", "something else put other code there"),
        ({0x10: b"\xcc"}, "low", "breakpoint"),
        ({0x10: b"\xcc", 0x20: b"\x48\xb8secrets!"}, "high", "something else put other code there"),
        ({}, "low", "put back"),
    ],
)
def test_there(changes: Mapping[int, bytes], severity: str, words: str, node_of: NodeOf) -> None:
    clean = node_of(SMALL)
    node, code, _ = written(clean, secretd(clean), 1, changes)
    (row,) = of_source(node, KIND)
    assert brief([row]) == {(severity, "miner-0", "miner", secretd(clean))}
    assert words in row["reason"]
    if severity == "high":
        first = min(at for at in changes)
        assert f" at {code.va + first:#x})" in row["title"] and "secretd" in row["title"]


def test_file_that_is_not_in_ram(node_of: NodeOf) -> None:
    clean = node_of(SMALL)
    node, code, _ = written(clean, secretd(clean), 1, {0x10: b"\xeb\xfe"})
    (row,) = of_source(changed(node, {code.pa: bytes(PAGE)}), KIND)
    assert row["severity"] == "medium" and "not in RAM" in row["reason"]


def test_breakpoints_of_arm(node_of: NodeOf) -> None:
    name = "arm64-6.12-small-lpa2"
    clean = node_of(name)
    pid = secretd(clean)
    for instruction, severity in ((0xD42000A0, "low"), (0xD503201F, "high")):
        node, _, _ = written(clean, pid, 1, {0x40: instruction.to_bytes(4, "little")})
        (row,) = of_source(node, KIND)
        assert row["severity"] == severity


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
