# SPDX-License-Identifier: Apache-2.0
"""`memir pages`: the table, the document, the picture in a browser, and what goes wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from memir.cli import pages
from tests.cli.conftest import Memir, registered
from tests.images import case
from tests.longer import not_here


def test_registers() -> None:
    assert registered(pages) == ["pages"]


def test_table_and_document(memir: Memir) -> None:
    image = case("s-6.1-small").image
    ran = memir("pages", image)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == "RAM in the image: 192.0 MiB, each frame once; numbers are MiB"
    assert [line.split()[:2] for line in lines[4:7]] == [
        ["dev/miner-0", "3.2"], ["shop/web-7d4b9c6f5-abcde", "0.5"], ["kube-system/agent-x9z2k", "0.4"],
    ]  # fmt: skip
    document = memir("pages", image, "--json").json()
    assert document["total"] == 192 << 20 and document["kinds"]["tmpfs"] == 3758 << 12
    assert document["kinds"]["not known"] == 775 << 12 and document["gaps"] == []


def test_known_file(memir: Memir, tmp_path: Path) -> None:
    """The intruder's program, taken out of memory, in memory again; what cannot be asked together is said."""
    image = case("s-6.1-small").image
    assert memir("extract", "files", image, "-o", tmp_path / "files", "--path", "/tmp/dropper").code == 0
    file = tmp_path / "files/dev_miner-0_miner/upper/tmp/dropper"
    ran = memir("pages", image, "--known", file)
    assert (ran.code, ran.err) == (0, "") and "/tmp/dropper (deleted)" in ran.out
    matches = {each["path"]: each for each in memir("pages", image, "--known", file, "--json").json()["matches"]}
    for path in ("/memfd:x", "/tmp/dropper"):
        assert (matches[path]["verdict"], matches[path]["pod_name"]) == ("whole", "miner-0")
    other = memir("pages", image, "--known", tmp_path / "none")
    assert (other.code, "none: cannot be read: No such file" in other.err) == (2, True)
    both = memir("pages", image, "--known", tmp_path / "none", "--svg", tmp_path / "x.svg")
    assert (both.code, both.err) == (2, "memir: --known draws no picture: leave --svg out\n")


def test_picture(memir: Memir, tmp_path: Path) -> None:
    image, picture = case("s-6.1-small").image, tmp_path / "ram.svg"
    ran = memir("pages", image, "--svg", picture)
    assert ran.code == 0 and f"Picture: {picture}" in ran.out
    root = ElementTree.parse(picture).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    again = memir("pages", image, "--svg", picture)
    assert (again.code, again.err) == (3, f"memir: {picture}: is there already; name a new file\n")
    lost = memir("pages", image, "--svg", tmp_path / "no" / "ram.svg")
    assert (lost.code, "No such file or directory" in lost.err) == (3, True)


def test_picture_in_a_browser(memir: Memir, tmp_path: Path) -> None:
    """Chromium draws it: the page is not one colour, and its DOM has the pods' names."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        not_here("chromium")
    picture = tmp_path / "ram.svg"
    assert memir("pages", case("s-6.1-small").image, "--svg", picture).code == 0
    words = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    dom = subprocess.run([*words, "--dump-dom", picture.as_uri()], capture_output=True, text=True, check=True).stdout
    assert "dev/miner-0 · anonymous" in dom and "parsererror" not in dom
