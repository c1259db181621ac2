# SPDX-License-Identifier: Apache-2.0
"""The case of a real intruded node, analysed and hunted once, and a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from memir.case.case import Case
from memir.cli.main import invoke
from memir.report.html.document import html_parts
from tests.case.test_case import ANALYSIS, ONE
from tests.images import cache
from tests.images import case as image_case
from tests.longer import not_here

VIEWS = ("story", "findings", "map", "timeline", "network", "files", "ram", "kernel", "logs", "secrets", "hits", "diff",
         "limits", "custody", "methods", "tables", "print")  # fmt: skip
_WATCH = """
window.broken = [];
addEventListener("securitypolicyviolation", (event) => broken.push(event.violatedDirective + " " + event.blockedURI));
"""


@pytest.fixture(scope="session")
def intruded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The case of s-6.12-intruded, with the starter rules' hits."""
    folder = tmp_path_factory.mktemp("intruded") / "case"
    rules = Path(__file__).resolve().parents[3] / "memir" / "hunt" / "rules"
    image = image_case("s-6.12-intruded")
    view = image.beside("pods.json")
    invoke(["analyze", str(image.image), "-o", str(folder), "--rules", str(rules), "--cluster", str(view), "--json"])
    return folder


@pytest.fixture(scope="session")
def page_file(intruded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    import memir

    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(b"".join(html_parts(memir.Case(intruded))))
    return path


@pytest.fixture(scope="session")
def golden(intruded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case as the intruded one would be without the intruder's pod, which has another of a name of its own."""
    import pyarrow as pa

    import memir

    case, folder = memir.Case(intruded), tmp_path_factory.mktemp("golden") / "golden"
    made: dict[str, Any] = {}
    for name in ("pods", "containers", "processes", "modules", "inodes"):
        table = case[name]
        if "pod_name" in table.column_names:
            table = table.filter(pa.array([pod != "miner-0" for pod in table["pod_name"].to_pylist()]))
        made[name] = table
    first = made["pods"].slice(0, 1).to_pylist()[0] | {"pod_name": "ledger-9", "namespace": "bank"}
    first |= {"pod_uid": "f" * 32, "owner": None}
    schema = made["pods"].schema
    made["pods"] = pa.concat_tables([made["pods"], pa.Table.from_pylist([first], schema=schema)])
    Case.create(folder).add_tables(made, ANALYSIS, ONE)
    return folder


@pytest.fixture(scope="session")
def full_page(intruded: Path, golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report with content of files, and what differs from the golden case."""
    import memir
    from memir.extract.previews import previews

    path, case = tmp_path_factory.mktemp("full") / "report.html", memir.Case(intruded)
    with memir.open(image_case("s-6.12-intruded").image, cache=cache()) as node:
        shown = previews(node, case["inodes"])
    path.write_bytes(b"".join(html_parts(case, previews=shown, other=memir.Case(golden))))
    return path


@dataclass
class Opened:
    """A page in a browser. wrong: what the console, the policy or a request said that must not be."""

    page: Any
    file: Path
    wrong: list[str] = field(default_factory=list)

    def show(self, view: str) -> str:
        """Go to a view, wait until it stands still, and give its text."""
        self.page.goto(f"{self.file.as_uri()}#{view}")
        self.page.wait_for_function(
            "() => { const text = document.querySelector('main')?.innerText ?? '';"
            " const same = text === window.before && !text.includes('reading …') && !text.includes(' to go …');"
            " window.before = text; return same && text.length > 0; }",
            polling=150,
        )
        self.wrong += self.page.evaluate("window.broken.splice(0)")
        return str(self.page.inner_text("main"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        not_here("no browser (apt-get install chromium)")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser: Any, file: Path, **settings: Any) -> Opened:
    """The page, watched."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}, **settings).new_page()
    page.add_init_script(_WATCH)
    made = Opened(page, file)
    page.on("console", lambda message: made.wrong.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: made.wrong.append(f"error: {error}"))
    page.on("dialog", lambda dialog: made.wrong.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: None if request.url.startswith("file:") else made.wrong.append(request.url))
    return made
