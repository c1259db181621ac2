# SPDX-License-Identifier: Apache-2.0
"""The kernel's log: from its first line, which names the kernel, without a hole, in the order of time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from memir.kernel import timekeeping
from memir.kube.ram import RamSource
from memir.tables.log import COLUMNS, TABLE, read
from tests.images import case

NodeOf = Callable[[str], RamSource]


def test_lines(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    rows = TABLE.read(node).rows()
    raw = case(image).raw_truth()
    small = case(image).truth.suffix == ".txt"
    texts = [row["text"] for row in rows]
    banner = (raw["sys"]["version"] if small else raw["banner"]).strip()
    assert any(text == banner for text in texts[:3])
    cmdline = (raw["sys"]["cmdline"] if small else raw["cmdline"]).strip()
    assert any(text and text.endswith(cmdline) for text in texts)
    assert [row["sequence"] for row in rows] == list(range(len(rows))) and len(rows) > 200
    # each processor stamps with its own clock, which an emulated one sets a second late while it starts
    stamps = [row["since_boot"] for row in rows]
    assert all(later - before > -2 * 10**9 for before, later in pairwise(stamps))
    assert not [gap for gap in node.gaps if "log" in gap.kind]


def test_times_levels_and_devices(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    rows = TABLE.read(node).rows()
    now = timekeeping.wall_clock(node.kernel)
    assert now is not None
    taken = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now // 1000)
    assert rows[0]["time"] < rows[-1]["time"] <= taken
    assert {row["facility"] for row in rows} <= {"kern", "user", "daemon", "syslog"}
    assert {"info", "notice"} <= {row["level"] for row in rows}
    fields = [field for row in rows for field in row["fields"]]
    assert any(field.startswith("subsystem=") for field in fields) and any(
        field.startswith("device=") for field in fields
    )
    assert read(node).names == [column.name for column in COLUMNS]
