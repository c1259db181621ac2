# SPDX-License-Identifier: Apache-2.0
"""What every tool has: the two that there are, asked in the same way."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.acquire.facts import NodeRun
from memir.acquire.tools.avml import Avml
from memir.acquire.tools.base import Tool, ToolFile
from memir.acquire.tools.lime import Lime
from tests.acquire.tools.node import MAGIC, NODE

FILE = ToolFile(Path("program"), "program", "ab" * 32, 7)
TOOLS: list[Tool] = [
    Avml(FILE, "x86_64", "lime", "0.21.0"), Lime(FILE, {"vermagic": MAGIC}, signed=True, machine="x86_64"),
]  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: str(tool.name))
def test_every_tool_answers_what_a_run_asks(tool: Tool) -> None:
    run = NodeRun("r", "/dev/shm/.memir-r")
    assert tool.files == (FILE,)
    assert tool.format == "lime"
    assert [check.level for check in tool.check(NODE)] == ["ok"]
    assert "/dev/shm/.memir-r/program" in tool.command(run)
    assert run.fifo in tool.command(run)
    assert tool.explain(0, "") == "done"
    assert all(trace.where and trace.what for trace in tool.traces())


def test_a_program_is_its_owners_alone() -> None:
    assert (FILE.source, FILE.name, FILE.size, FILE.mode) == (Path("program"), "program", 7, 0o700)
