# SPDX-License-Identifier: Apache-2.0
"""The report of a real intruded node in a real browser: what people see, and that the policy holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import memir
from tests.report.html.conftest import VIEWS, Opened, opened


@pytest.fixture(scope="module")
def page(browser: Any, page_file: Path) -> Opened:
    return opened(browser, page_file)


def test_every_view_stands(page: Opened) -> None:
    texts = {view: page.show(view) for view in VIEWS}
    assert page.wrong == []
    assert "runs /app/miner, which has been deleted" in texts["story"] or "which has been deleted" in texts["story"]
    assert "Rows that prove it" in texts["findings"]
    assert "The node itself" in texts["map"]
    assert "Who listens" in texts["network"]
    assert "What containers changed of their images" in texts["files"]
    assert "were as they were sealed" in texts["custody"]
    assert "Parts of this page" in texts["methods"] and "preact" in texts["methods"]


def test_every_process_stands_once_in_the_map(page: Opened, intruded: Path) -> None:
    """In its container, in its pod, on the node, or where its place is not known: none is left out, none doubled."""
    page.show("map")
    page.page.evaluate("document.querySelectorAll('details.pod').forEach((each) => { each.open = true; })")
    every = "[...document.querySelectorAll('details.pod')].every((each) => each.querySelector('.sub'))"
    page.page.wait_for_function(f"() => {every}")
    while page.page.locator(".map button.more").count():
        page.page.locator(".map button.more").first.click()
    shown = page.page.evaluate(
        "[...document.querySelectorAll('.processes li > a[href*=row]')].map((link) => +link.hash.split('row=')[1])"
    )
    rows = memir.Case(intruded)["processes"].to_pylist()
    wanted = [number for number, row in enumerate(rows) if not row["kernel_thread"]]
    assert sorted(shown) == wanted
    assert any(rows[number]["pod_uid"] and not rows[number]["container_id"] for number in wanted)
    marks = page.page.locator(".processes em", has_text="witnesses disagree").count()
    assert marks == sum(bool(rows[number]["disagreements"]) for number in wanted) > 0
    sandboxes = [row for row in memir.Case(intruded)["containers"].to_pylist() if row["kind"] == "sandbox"]
    assert page.page.locator(".container p > a", has_text="sandbox").count() == len(sandboxes) > 0


def test_sentences_lead_to_findings_and_rows(page: Opened) -> None:
    page.show("story")
    links = page.page.evaluate("[...document.querySelectorAll('.story a')].map((link) => link.getAttribute('href'))")
    first = next(link for link in links if link.startswith("#finding="))
    text = page.show(first[1:])
    assert first.removeprefix("#finding=") in text and "select * from processes where pid = " in text
    assert page.page.locator(".proof-rows .grid .space .row").count() >= 1
    page.page.locator(".proof-rows .grid .space .row").first.click()
    page.page.wait_for_selector(".panel dd")
    assert "proves" in page.page.inner_text(".panel")


def test_a_table_is_sorted_filtered_and_chosen(page: Opened) -> None:
    page.show("table=processes")
    column = "[...document.querySelectorAll('.grid .space .row')].map((row) => +row.children[0].innerText)"
    page.page.click("[role=columnheader] >> text=pid")
    page.page.click("[role=columnheader] >> text=pid")
    page.page.wait_for_function(f"() => {{ const pids = {column}; return pids[0] > pids[1]; }}")
    pids = page.page.evaluate(column)
    assert pids == sorted(pids, reverse=True)
    page.page.fill(".tools input[type=search]", "kernel_thread:yes -kworker")
    page.page.wait_for_function("() => / of /.test(document.querySelector('.count').innerText)")
    assert "kworker" not in page.page.inner_text(".grid .space")
    page.page.click("summary:has-text('Columns')")
    page.page.click(".choose label:has-text('mnt_ns') input")
    page.page.wait_for_selector("[role=columnheader]:has-text('mnt_ns')")
    assert page.wrong == []


def test_the_keyboard_is_enough(page: Opened) -> None:
    page.show("story")
    keys = page.page.keyboard
    keys.press("2")
    page.page.wait_for_selector(".findings")
    keys.press("/")
    keys.type("sshd")
    keys.press("Enter")
    page.page.wait_for_function("() => /in \\d+ tables/.test(document.querySelector('main').innerText)")
    assert page.page.evaluate("location.hash") == "#search=sshd"
    keys.press("?")
    assert "search every table" in page.page.inner_text(".help")
    keys.press("Escape")
    page.show("table=processes")
    page.page.focus("[role=grid]")
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        keys.press(key)
    page.page.wait_for_selector(".panel dd")
    assert page.page.evaluate("location.hash") == "#table=processes&row=2"
    keys.press("Escape")
    page.page.wait_for_selector(".panel", state="detached")


def test_notes_are_saved_as_a_file(page: Opened) -> None:
    page.show("findings")
    page.page.check(".note input[type=checkbox]")
    page.page.fill(".note textarea", "ours: the nightly scan")
    with page.page.expect_download() as saved:
        page.page.click("text=Save notes (1)")
    document = json.loads(Path(saved.value.path()).read_text())
    assert document["schema"] == 1 and len(document["case"]) == 64
    (note,) = document["notes"]
    assert note["target"].startswith("finding:") and note["benign"] is True and note["text"] == "ours: the nightly scan"
