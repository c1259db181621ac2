# SPDX-License-Identifier: Apache-2.0
"""Hostile content in a real browser: nothing is run, nothing is loaded, all is shown as what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import memir
from memir.report.html.document import html_parts
from tests.report.html.conftest import VIEWS, Opened, opened
from tests.report.html.hostile import MEGABYTE, TEXTS, hostile_case

HIDDEN = {"\u202e", "\u200b", "\u200d", "\ufeff", "\u2066", "\U000e0041", "\u2028", "\x1b", "\x9b"}
"""Characters that no view may show as they are."""


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("hostile")
    file = folder / "report.html"
    case, other = memir.Case(hostile_case(folder / "case")), memir.Case(hostile_case(folder / "other", rows=23))
    file.write_bytes(b"".join(html_parts(case, previews=hostile_previews(case), other=other)))
    return opened(browser, file)


def hostile_previews(case: memir.Case) -> pa.Table:
    """Content of files whose every text is hostile."""
    rows = [row for row, each in enumerate(case["inodes"].to_pylist()) if each["container_id"] or each["change"]]
    texts = [*TEXTS, MEGABYTE]
    return pa.table({
        "row": pa.array(rows, pa.int32()), "size": pa.array([9] * len(rows), pa.int64()),
        "offset": pa.array([0] * len(rows), pa.int64()), "length": pa.array([9] * len(rows), pa.int32()),
        "text": [texts[n % len(texts)] if n % 2 else None for n in range(len(rows))],
        "hex": [None if n % 2 else "3c7363726970743e" + "xx" * 9 for n in range(len(rows))],
        "holes": [texts[(n + 3) % len(texts)] or None for n in range(len(rows))],
        "why": pa.nulls(len(rows), pa.string()),
    })  # fmt: skip


def test_content_of_files_is_text(page: Opened) -> None:
    page.show("files")
    page.page.check("main input[type=checkbox]")  # every row says that it is no news
    for _ in range(6):  # what lies in one is made when it is opened
        page.page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
        page.page.wait_for_timeout(300)
    page.page.wait_for_selector(".file .preview pre")
    shown = page.page.inner_text("main")
    assert "3c 73 63 72 69 70 74 3e xx xx" in shown and "<script>********" in shown
    assert not HIDDEN & set(shown)
    assert page.page.evaluate("typeof window.pwned") == "undefined" and page.wrong == []


def test_differences_and_ram_are_text(page: Opened) -> None:
    shown = page.show("diff")
    assert "old: other" in shown and r"gnp\u202efdp.exe" in shown and "<img src=x onerror=window.pwned=1>" in shown
    shown = page.show("ram")
    assert "<img src=x" in shown or "<script>" in shown
    titles = page.page.evaluate("[...document.querySelectorAll('.treemap title')].map((each) => each.textContent)")
    assert titles and not [title for title in titles if "\u202e" in title or "\u200b" in title]
    assert "Of logs from outside of memory: session" in page.show("timeline")
    assert page.page.evaluate("typeof window.pwned") == "undefined" and page.wrong == []


def test_no_view_runs_it(page: Opened) -> None:
    others = ("ram=", "search=window", "table=processes&row=3", "nothing", "table=__proto__", "finding=%E0%A4%A")
    for view in (*VIEWS, *others):
        hidden = HIDDEN & set(page.show(view))
        assert not hidden, f"{view}: {hidden}"
        assert page.wrong == [], view
    assert page.page.evaluate("typeof window.pwned") == "undefined"
    elements = page.page.evaluate(
        "[...document.querySelectorAll('img, svg[onload], a[href^=javascript], [onerror]')].length"
    )
    assert elements == 0


def test_every_text_is_shown_as_what_it_is(page: Opened) -> None:
    shown = set()
    for row in range(len(TEXTS)):
        page.show(f"table=lookups&row={row}")
        cells = page.page.evaluate("[...document.querySelectorAll('.panel dd')].map((cell) => cell.innerText)")
        shown |= set(cells)
    for text in TEXTS[:12]:
        assert text in shown, text
    everything = "\n".join(shown)
    for marked in (r"gnp\u202efdp.exe", r"a\u200bb\u200d\ufeffc\u2066d", r"\e[31mred\e]0;title\x07\x00\x7f\x9b",
                   r"\ue000\U000e0041\u2028\u2029\u3164"):  # fmt: skip
        assert marked in everything, marked
    assert page.wrong == []


def test_a_megabyte_is_cut_until_it_is_asked_for(page: Opened) -> None:
    text = page.show("table=log&row=0")
    more = len(MEGABYTE) - 2000
    assert f"{more:,} more characters: show" in text
    page.page.click(".panel .more")
    assert f"{more - 40_000:,} more characters" in page.page.inner_text(".panel")
    assert page.wrong == []


def test_csv_has_no_formula(page: Opened) -> None:
    page.show("table=lookups")
    with page.page.expect_download() as saved:
        page.page.click("text=Save CSV")
    lines = Path(saved.value.path()).read_text().splitlines()
    assert lines[0] == "fstype,path,node_path,container_path,layer,container_name,pod_name,namespace"
    cells = [cell.strip('"') for line in lines[1:] for cell in line.split(",")]
    assert "'=cmd|' /C calc'!A0" in cells and not [cell for cell in cells if cell.startswith(("=", "@", "+"))]
    assert any("\\e[31mred" in cell for cell in cells) and "\x1b" not in "".join(lines)
