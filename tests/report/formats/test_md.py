# SPDX-License-Identifier: Apache-2.0
"""Findings as Markdown: all that they say, and nothing of the image that a viewer of Markdown would act on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memir.case.case import Case
from memir.findings.table import TABLE
from memir.gaps import Gap
from memir.report.formats.md import FORMAT, code, escaped
from memir.report.registry import Options
from tests.case.test_case import ANALYSIS, ONE
from tests.findings.real import SMALL, every, node


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case.create(tmp_path / "case")
    tables: dict[str, Any] = {"findings": TABLE.rows(every(SMALL)), "processes": node(SMALL)[0]["processes"]}
    case.add_tables(tables, replace(ANALYSIS, gaps=(Gap("task", "0x1|", "not <readable>", 4),)), ONE)
    return case


def text(case: Case, options: Options) -> list[str]:
    return b"".join(FORMAT.parts(case, options)).decode().splitlines()


def test_all_of_a_finding(case: Case) -> None:
    lines = text(case, Options())
    assert lines[0] == "# Memory of node n"
    row = next(row for row in every(SMALL) if row["kind"] == "deleted-executable")
    start = lines.index("### high: pid 190 dropper (dev/miner-0/miner) runs /tmp/dropper, which has been deleted")
    block = lines[start : lines.index("", start + 2)]
    assert block[2:7] == [
        f"- id: `{row['id']}`",
        "- where: dev/miner-0/miner, pid 190",
        f"- since: {row['first_seen'].replace(tzinfo=None).isoformat(sep=' ')} UTC",
        f"- severity: high: {row['reason']}",
        "- ATT&CK v18.1: T1070.004 File Deletion (defense-evasion)",
    ]
    assert "- proof: `select * from processes where pid = 190`" in block
    assert sum(line.startswith("| high |") for line in lines) == 4
    assert "- 4 of task: not &#60;readable&#62;, e.g. 0x1&#124;" in lines
    assert any(line.startswith("- privileged-container: the case has no table containers") for line in lines)


def test_of_a_severity(case: Case) -> None:
    lines = text(case, Options("critical"))
    assert "## Findings of severity critical and above: none" in lines
    assert not any(line.startswith(("###", "| ", "## Looked for")) for line in lines)


def test_escaped() -> None:
    assert escaped("<img src=x>[a](http://b)\n# c | *d*") == (
        "&#60;img src=x&#62;&#91;a&#93;(http&#58;&#47;&#47;b)&#92;n&#35; c &#124; &#42;d&#42;"
    )
    assert escaped("mnt_ns=host, 6.12.117+deb13, f(x)") == "mnt_ns=host, 6.12.117+deb13, f(x)"
    assert escaped("_a_ a_ _b") == "&#95;a&#95; a&#95; &#95;b"
    assert escaped("ask `memir query CASE` now") == "ask `memir query CASE` now"
    assert escaped("one ` alone\x1b[31m") == "one &#96; alone&#92;e&#91;31m"


def test_code() -> None:
    assert code("a = 'b'") == "`a = 'b'`"
    assert code("`x` and ``y``") == "``` `x` and ``y`` ```"
