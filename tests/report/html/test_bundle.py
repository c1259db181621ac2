# SPDX-License-Identifier: Apache-2.0
"""The bundle in git is what its sources give; in the long run it is built again, byte for byte, and axe looks at it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.images import ROOT
from tests.report.html.conftest import VIEWS, opened

WEB = ROOT / "memir" / "report" / "web"
LONG = bool(os.environ.get("CI"))
long = pytest.mark.skipif(not LONG, reason="builds with npm, which loads packages: CI=true")


def test_the_bundle_is_of_these_sources() -> None:
    digest = hashlib.sha256()
    for name in ("package-lock.json", "build.mjs", *(f"src/{path.name}" for path in sorted((WEB / "src").iterdir()))):
        digest.update(f"{name}\n".encode() + (WEB / name).read_bytes())
    assert (WEB / "bundle" / "sources.sha256").read_text().strip() == digest.hexdigest(), "npm run build"


def test_licences_of_all_parts_are_listed() -> None:
    wanted = json.loads((WEB / "package.json").read_text())["dependencies"]
    listed = json.loads((WEB / "bundle" / "licenses.json").read_text())
    assert {each["name"]: each["version"] for each in listed} == wanted
    assert {each["license"] for each in listed} == {"MIT"}
    assert all("Permission is hereby granted" in each["text"] for each in listed)


def test_nothing_in_it_needs_what_the_policy_forbids() -> None:
    script = (WEB / "bundle" / "report.js").read_text()
    for word in ("eval(", "new Function", "insertAdjacentHTML", "document.write", "new Worker", "fetch("):
        assert word not in script, word
    # preact's own dangerouslySetInnerHTML, which no source uses
    assert script.count("innerHTML=") == 1
    assert not [path.name for path in (WEB / "src").iterdir() if "innerhtml" in path.read_text().lower()]
    assert (WEB / "bundle" / "report.css").read_text().count("url(") == 0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("npm") / "web"
    shutil.copytree(WEB, folder, ignore=shutil.ignore_patterns("node_modules", "bundle"))
    (folder / "bundle").mkdir()
    for command in (["npm", "ci", "--no-audit", "--no-fund"], ["npm", "run", "check"], ["npm", "run", "build"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
    return folder


@long
def test_the_same_bytes_are_built_again(built: Path) -> None:
    for path in sorted((WEB / "bundle").iterdir()):
        assert (built / "bundle" / path.name).read_bytes() == path.read_bytes(), path.name


@long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(built: Path, browser: Any, full_page: Path, scheme: str) -> None:
    axe = (built / "node_modules" / "axe-core" / "axe.min.js").read_text()
    page = opened(browser, full_page, color_scheme=scheme, bypass_csp=True)
    told: dict[str, Any] = {}
    for view in (*VIEWS, "search=sshd", "table=processes&row=2"):
        page.show(view)
        page.page.evaluate(
            "document.querySelectorAll('main details:not(.choose)').forEach((each) => { each.open = true; })"
        )
        page.page.evaluate(axe)
        violations = page.page.evaluate("axe.run().then((result) => result.violations)")
        told |= {f"{view}: {each['id']}": [node["html"][:200] for node in each["nodes"][:3]] for each in violations}
    assert told == {}
