# SPDX-License-Identifier: Apache-2.0
"""`memir report`: to a file or standard output, in each form that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.case.case import Case
from memir.cli import report
from memir.findings.table import TABLE
from memir.report.registry import formats
from tests.case.test_case import ANALYSIS, ONE, SECOND
from tests.cli.conftest import Memir, registered
from tests.findings.real import SMALL, every, node
from tests.images import cache
from tests.images import case as image_case


@pytest.fixture
def case(tmp_path: Path) -> Path:
    Case.create(tmp_path / "case").add_tables({"findings": TABLE.rows(every(SMALL))}, ANALYSIS, ONE)
    return tmp_path / "case"


def test_report(memir: Memir, case: Path, tmp_path: Path) -> None:
    ran = memir("report", case)
    assert (ran.code, ran.err) == (0, "") and ran.out.startswith("# Memory of node n\n")
    out = tmp_path / "report.md"
    told = memir("report", case, "--format", "md", "-o", out)
    assert (told.code, told.out) == (0, f"{out}: {out.stat().st_size:,} bytes, Markdown, for a ticket\n")
    assert out.read_text() == ran.out
    assert memir("report", case, "--json").json() == {"format": "md", "text": ran.out}
    told = memir("report", case, "-o", out, "--force", "--json")
    assert told.json() == {"format": "md", "file": str(out), "bytes": out.stat().st_size}
    ran = memir("report", case, "-o", out)
    assert (ran.code, "--force to replace it" in ran.err) == (3, True)
    assert memir("report", case, "-o", out, "--severity", "critical", "--force").code == 0
    assert "critical and above: none" in out.read_text()


def test_formats_are_listed(memir: Memir, case: Path) -> None:
    lines = memir("report", case, "--format", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(formats())
    assert list(memir("report", case, "--format", "list", "--json").json()["formats"]) == list(formats())
    ran = memir("report", case, "--format", "pdf")
    assert ran.code == 2 and "there are " in ran.err and "md" in ran.err


def test_register() -> None:
    assert registered(report) == ["report"]


def test_html_with_notes_and_without_names(memir: Memir, case: Path, tmp_path: Path) -> None:
    out, notes = tmp_path / "report.HTML", tmp_path / "notes.json"
    notes.write_text('{"schema": 1, "notes": []}')
    ran = memir("report", case, "-o", out, "--redact", "--notes", notes, "--json")
    assert ran.json() == {"format": "html", "file": str(out), "bytes": out.stat().st_size}
    assert '"redacted":true' in out.read_text()
    ran = memir("report", case, "--redact")
    told = "--redact, --notes, --image and --diff are for --format html: md has no such part"
    assert (ran.code, ran.err) == (2, f"memir: {told}\n")
    ran = memir("report", case, "--format", "html")
    assert (ran.code, "give a file with -o" in ran.err) == (2, True)


def test_html_with_what_differs(memir: Memir, case: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "golden", tmp_path / "report.html"
    Case.create(other).add_tables({"findings": TABLE.rows(every(SMALL)[1:])}, ANALYSIS, SECOND)
    assert memir("report", case, "-o", out, "--diff", other).code == 0
    assert '"diff":{"other":"golden"' in out.read_text() and 'id="table-differences"' in out.read_text()
    ran = memir("report", case, "-o", out, "--diff", tmp_path / "nothing", "--force")
    assert (ran.code, str(tmp_path / "nothing") in ran.err) == (3, True)


def test_html_with_content_of_files(memir: Memir, case: Path, tmp_path: Path) -> None:
    image, out = image_case("s-6.1-small").image, tmp_path / "report.html"
    ran = memir("report", case, "-o", out, "--image", image)
    assert (ran.code, "has no table inodes, which names the files: leave --image away" in ran.err) == (3, True)
    Case.create(case, force=True).add_tables({"inodes": node(SMALL)[0]["inodes"]}, ANALYSIS, ONE)
    ran = memir("report", case, "-o", out, "--image", image, "--cache", cache())
    assert (ran.code, "is the case of another image" in ran.err, out.exists()) == (3, True, False)
