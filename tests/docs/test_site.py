# SPDX-License-Identifier: Apache-2.0
"""The documentation as a site: it builds strictly, every page is in the navigation, made pages are as they are made."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from documentation import api, architecture, commands, questions
from tests.images import ROOT
from tests.longer import not_here

DOCS = ROOT / "docs"


def build(site: Path) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("zensical") is None:
        not_here("zensical, for the site: pip install '.[docs]'")
    return subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=site, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    return tmp_path


def test_the_site_builds_strictly_and_asks_no_other_host(site: Path) -> None:
    ran = build(site)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    built = site / "build" / "site"
    pages = {str(path.relative_to(built)) for path in built.rglob("*.html")}
    assert {str(path.relative_to(DOCS).with_suffix(".html")) for path in DOCS.rglob("*.md")} <= pages
    for page in sorted(pages):
        text = (built / page).read_text()
        loaded = re.findall(r"""<(?:script|img|iframe)[^>]*\ssrc=["']?(https?:[^"'\s>]+)""", text)
        loaded += re.findall(r"""<link[^>]*rel=["']?stylesheet[^>]*href=["']?(https?:[^"'\s>]+)""", text)
        assert loaded == [], page


def test_a_link_that_leads_nowhere_ends_the_build(site: Path) -> None:
    with (site / "docs" / "index.md").open("a") as page:
        page.write("\nSee [there](guide/not-there.md) and [here](guide/hunt.md#no-such-anchor).\n")
    ran = build(site)
    assert ran.returncode != 0
    assert ran.stdout.count("index.md:") + ran.stderr.count("index.md:") == 2


def named(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [page for each in (entry.values() if isinstance(entry, dict) else entry) for page in named(each)]


def test_every_page_is_in_the_navigation_once() -> None:
    pages = named(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])
    assert sorted(pages) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


EXTERNAL = re.compile(r"\]\(\s*<?([a-zA-Z][a-zA-Z0-9+.-]*:[^)\s>]*)|<([a-z]+://[^>\s]*)>|(?<![(<])\b(https?://[^\s)>]+)")
"""An address behind a text, in angle brackets, or bare in a text."""


def wrong_address(address: str) -> str | None:
    """What is wrong with the form of an address that leaves the documentation; nothing is asked of its host."""
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        return str(error)
    if parts.scheme != "https" or parts.username is not None or port is not None:
        return "no plain https address"
    if not re.fullmatch(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", host):
        return "no host's name"
    rest = parts.path + parts.query + parts.fragment
    if not re.fullmatch(r"(%[0-9A-Fa-f]{2}|[A-Za-z0-9._~!$&'*+,;=:@/?-])*", rest):
        return "characters that an address has escaped"
    return "ends with a sentence's mark" if address[-1] in ".,;:!?" else None


def external(text: str) -> list[str]:
    """Addresses of a page, without those in blocks and spans of code, which are examples."""
    prose = re.sub(r"`[^`\n]*`", "``", re.sub(r"(?ms)^```.*?^```", "", text))
    prose = "\n".join(line for line in prose.splitlines() if not line.startswith("    "))
    return ["".join(groups) for groups in EXTERNAL.findall(prose)]


def test_addresses_that_leave_the_documentation_are_well_formed() -> None:
    pages = [*DOCS.rglob("*.md"), *ROOT.glob("*.md")]
    addresses = {address: page.name for page in pages for address in external(page.read_text())}
    assert "https://github.com/volatilityfoundation/volatility3" in addresses and len(addresses) >= 4
    assert {address: (page, wrong_address(address)) for address, page in addresses.items()
            if wrong_address(address)} == {}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "address", "wrong"),
    [
        ("see [x](http://kernel.org/doc)", "http://kernel.org/doc", "no plain https address"),
        ("see <https://user@kernel.org>", "https://user@kernel.org", "no plain https address"),
        ("[x](https://kernel.org:8443/a)", "https://kernel.org:8443/a", "no plain https address"),
        ("[x](https://kernel/a)", "https://kernel/a", "no host's name"),
        ("[x](https://kernel.org/a|b)", "https://kernel.org/a|b", "characters that an address has escaped"),
        ("at https://kernel.org/a. Then", "https://kernel.org/a.", "ends with a sentence's mark"),
        ("at https://kernel.org/a%20b#c then", "https://kernel.org/a%20b#c", None),
    ],
)
def test_what_is_wrong_with_an_address(text: str, address: str, wrong: str | None) -> None:
    assert external(text) == [address] and wrong_address(address) == wrong
    assert external(f"`{text}`\n```sh\n{text}\n```\n    {text}\n") == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_pages_outside_the_site(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


@pytest.mark.parametrize(
    ("made", "page"),
    [
        (api.reference, "reference/api.md"),
        (commands.reference, "reference/commands.md"),
        (questions.reference, "reference/questions.md"),
        (architecture.svg, "images/architecture.svg"),
    ],
)
def test_made_pages_are_as_they_are_made(made: Callable[[], str], page: str) -> None:
    assert (DOCS / page).read_text() == made(), f"run: python -m {made.__module__} > docs/{page}"


def test_the_picture_has_every_folder_and_every_import_runs_downwards() -> None:
    place = {name: row for row, names in enumerate(architecture.rows()) for name in names}
    folders = {path.name for path in (ROOT / "memir").iterdir() if (path / "__init__.py").exists() or path.is_dir()}
    assert folders - {"__pycache__", "web"} <= set(place)
    assert all(place[below] < place[name] for name in place for below in architecture.direct(name))
    assert place["image"] < place["kernel"] < place["tables"] < place["findings"] < place["case"]


def test_every_verb_and_public_name_has_its_part() -> None:
    import memir
    from memir.cli.main import VERBS

    page = (DOCS / "reference/commands.md").read_text()
    assert [verb for verb in VERBS if f"\n## memir {verb}\n" not in page] == []
    assert "\n## memir acquire ssm\n" in page and "| `--selector`, `-l` |" in page
    names = (DOCS / "reference/api.md").read_text()
    assert [name for name in memir.__all__ if f"\n## memir.{name}\n" not in names] == []
