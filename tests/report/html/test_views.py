# SPDX-License-Identifier: Apache-2.0
"""RAM, files, differences and print of a real intruded node in a browser: what people see is what the case says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import memir
from tests.report.html.conftest import Opened, opened


@pytest.fixture(scope="module")
def page(browser: Any, full_page: Path) -> Opened:
    return opened(browser, full_page)


def test_ram_by_owner_and_kind(page: Opened, intruded: Path) -> None:
    text = page.show("ram")
    ((total, pod),) = memir.Case(intruded).sql(
        "select sum(bytes), sum(bytes) filter (pod_name = 'miner-0') from pages"
    ).rows  # fmt: skip
    assert f"{total / (1 << 20):,.1f} MiB of RAM in the image" in text
    row = page.page.locator("main tr", has_text="dev/miner-0").inner_text().split("\t")
    assert row[1].strip() == f"{pod / (1 << 20):,.1f}"
    sizes = page.page.evaluate(
        "[...document.querySelectorAll('.treemap g.owner rect')].map((each) => each.width.baseVal.value * "
        "each.height.baseVal.value)"
    )
    assert len(sizes) >= 3 and sizes == sorted(sizes, reverse=True)
    page.page.click("main td a >> text=dev/miner-0")
    page.page.wait_for_function("() => document.querySelector('main').innerText.includes('All owners ›')")
    assert page.page.evaluate("location.hash").startswith("#ram=") and page.wrong == []


def test_a_file_is_looked_into(page: Opened) -> None:
    text = page.show("files")
    assert "files were read from the image when this report was made" in text
    page.page.locator(".file summary", has_text="dropper").first.click()
    page.page.wait_for_selector(".preview .hex")
    shown = page.page.inner_text(".preview")
    assert "00000000  7f 45 4c 46 02 01 01" in shown and ".ELF" in shown and "Bytes 0 to 4,095 of" in shown
    assert page.wrong == []


def test_what_differs(page: Opened) -> None:
    text = page.show("diff")
    assert "old: golden" in text and re.search(r"pods\s*\n?\s*1 new, 1 gone", text)
    assert "bank/ledger-9" in text and "dev/StatefulSet/miner" in text
    assert "No difference: modules" in text and page.wrong == []


def test_print(page: Opened) -> None:
    text = page.show("print")
    order = ("Examination of the memory of", "What happened", "Findings, each with what proves it",
             "What could not be read", "Custody", "How it was done")  # fmt: skip
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    page.page.emulate_media(media="print")
    assert not page.page.is_visible("nav") and not page.page.is_visible("header.top")
    assert not page.page.is_visible("text=Print, or save as PDF")
    assert page.page.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"
    page.page.emulate_media(media="screen")
    assert page.wrong == []
