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


def test_a_clean_node_has_the_kernels_own_interrupts(node: tuple[str, Host]) -> None:
    rows = list(node[1].run("linux.malware.check_idt.Check_idt").dicts())
    assert len(rows) > 20
    # without machine checks vector 18 keeps early_idt_handler_array + 18 * 9, in the init text, which volatility3 lacks
    assert {row["Index"]: row["Module"] for row in rows if row["Module"] != "__kernel__"} in ({}, {18: None})
