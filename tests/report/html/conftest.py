# SPDX-License-Identifier: Apache-2.0
"""The case of a real intruded node, analysed and hunted once, and a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from memir.cli.main import invoke
from memir.report.html.document import html_parts
from tests.images import case as image_case
from tests.longer import not_here

VIEWS = ("story", "findings", "map", "timeline", "network", "files", "kernel", "logs", "secrets", "hits", "limits",
         "custody", "methods", "tables")  # fmt: skip
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
