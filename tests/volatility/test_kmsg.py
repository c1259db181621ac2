# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Stock linux.kmsg, run by memir, line by line against the table `log`, which reads the ring buffer by itself."""

from __future__ import annotations

import re

import pytest

import memir
from memir.symbols.locate import locate
from memir.volatility.run import Host
from tests.images import case

DICTIONARY = re.compile(r" (SUBSYSTEM|DEVICE)=")
"""Lines that kmsg makes of a record's device, as /dev/kmsg does; `log` has them in `fields`."""
LEVELS = {"warn": "warning"}
"""kmsg's words where they are not syslog's."""


@pytest.mark.parametrize("name", ["s-5.10-small-v1", "s-6.1-small"])
def test_every_column_of_every_line(name: str) -> None:
    with case(name).open() as memory:
        rows = list(Host(memory, locate(memory)).run("linux.kmsg").dicts())
    lines = [
        tuple(LEVELS.get(str(row[name]), row[name]) for name in ("facility", "level", "timestamp", "caller", "line"))
        for row in rows
        if not DICTIONARY.match(str(row["line"]))
    ]
    wanted = []
    for record in memir.open(case(name).image)["log"].where(origin="kernel").to_arrow().to_pylist():
        seconds, rest = divmod(record["since_boot"], 10**9)
        caller = next(field for field in record["fields"] if field.startswith("caller=")).split(" ")[1]
        when = f"{seconds}.{rest // 1000:06}"
        for line in record["text"].split("\n"):
            wanted.append((record["facility"], record["level"], when, f"Task({caller})", line))
    assert len(lines) > 300
    # stock kmsg walks from tail_id up to head_id and leaves that one, the newest record, out
    assert lines == wanted[:-1]
