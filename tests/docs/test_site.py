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
