# SPDX-License-Identifier: Apache-2.0
"""`memir symbols`."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

from memir.cli import symbols
from tests.cli.conftest import Memir, registered


def test_symbols(memir: Memir, raw_image: Path, analysed_once: tuple[Path, Any], tmp_path: Path) -> None:
    file = tmp_path / "linux.json"
    document = memir("symbols", raw_image, "-o", file, "--json").json()
    isf = json.loads(file.read_text())
    share = {name: document.pop(name) for name in [name for name in document if name.startswith("ram_")]}
    assert share["ram_share"] == 1.0
    assert document == {
        "release": "6.1.0-50-cloud-amd64",
        "symbols": len(isf["symbols"]),
        "file": str(file),
        "size": file.stat().st_size,
    }
    assert isf["symbols"]["_text"]["address"] == 0xFFFFFFFF81000000
    with_isf = memir("analyze", raw_image, "--isf", file, "--json").json()
    assert with_isf["rows"] == analysed_once[1]["rows"]
    assert with_isf["kernel"]["sources"]["types"] == "ISF linux.json"


def test_symbols_for_people(memir: Memir, raw_image: Path, tmp_path: Path) -> None:
    ran = memir("symbols", raw_image, "-o", tmp_path / "linux.json.xz")
    assert (ran.code, ran.err) == (0, "")
    symbols = json.loads(lzma.decompress((tmp_path / "linux.json.xz").read_bytes()))["symbols"]
    assert ran.out == f"{tmp_path / 'linux.json.xz'}: {len(symbols)} symbols of 6.1.0-50-cloud-amd64\n"


def test_neither_image_nor_files(memir: Memir, tmp_path: Path) -> None:
    ran = memir("symbols", "-o", tmp_path / "x.json", "--btf", "vmlinux")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "memir: give an IMAGE, or --btf, --kallsyms and --banner from the live node\n"
    ran = memir("symbols", "-o", tmp_path / "x.json", "--btf", "absent", "--kallsyms", "absent", "--banner", "Linux")
    assert (ran.code, ran.err) == (3, "memir: absent: cannot be read: No such file or directory\n")


def test_register() -> None:
    assert registered(symbols) == ["symbols"]
