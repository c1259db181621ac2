# SPDX-License-Identifier: Apache-2.0
"""`memir info`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from memir.cli import info
from tests.cli.conftest import Memir, registered


def test_info(memir: Memir, raw_image: Path) -> None:
    document = memir("info", raw_image, "--json", "--sha256").json()
    kernel = document["kernel"]
    assert (document["format"], document["container"], document["missing"]) == ("raw", None, 0)
    assert document["ram_size"] == document["file_size"] == raw_image.stat().st_size == 192 << 20
    assert document["ranges"] == [{"start": 0, "size": 192 << 20}]
    assert document["sha256"] == hashlib.sha256(raw_image.read_bytes()).hexdigest()
    assert (kernel["arch"], kernel["release"], kernel["paging_levels"]) == ("x86_64", "6.1.0-50-cloud-amd64", 4)
    assert kernel["kaslr_shift"] == 0xFFFFFFFF9A000000 - 0xFFFFFFFF81000000
    assert kernel["sources"] == {
        "kernel": "VMCOREINFO",
        "types": "BTF in the image",
        "symbols": "kallsyms in the image",
    }
    assert document["gaps"] == []
    assert document["clock"] == "2026-11-23T22:12:42.272000+00:00"


def test_info_for_people(memir: Memir, raw_image: Path) -> None:
    shown = memir("info", raw_image)
    assert shown.code == 0
    assert "KASLR shift   0x19000000" in shown.out.splitlines()
    assert (
        "taken         2026-11-23 22:12:42.272000 UTC by the image's own clock, 13 s after the node was started"
        in shown.out.splitlines()
    )


def test_an_image_without_a_kernel(memir: Memir, tmp_path: Path) -> None:
    """What can be said is said, and then the error: also as one JSON document."""
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(8 << 20)
    ran = memir("info", tmp_path / "zeros", "--json")
    document = ran.json()
    assert ran.code == 3
    assert (document["kernel"], document["ram_size"]) == (None, 8 << 20)
    assert "no Linux kernel found" in document["error"]
    assert "no Linux kernel found" in ran.err


def test_register() -> None:
    assert registered(info) == ["info"]
