# SPDX-License-Identifier: Apache-2.0
"""What `info` prints."""

from __future__ import annotations

from typing import Any

import pytest

from memir.report.image import print_image

KERNEL = {
    "banner": "Linux version 6.1.0\x1b[2J", "arch": "x86_64", "paging_levels": 4, "page_table": 0x1000,
    "kaslr_shift": None, "build_id": "ab", "symbols": 12345, "sources": {"types": "BTF", "symbols": "kallsyms"},
}  # fmt: skip


def facts(**values: Any) -> dict[str, Any]:
    return {
        "image": "n.raw.zst", "format": "raw", "container": "zstd", "file_size": 1000, "ram_size": 8192, "missing": 0,
        "ranges": [{"start": 4096, "size": 8192}], "sha256": None, "kernel": None, "coverage": None, "gaps": [],
        "clock": None, "booted": None, **values,
    }  # fmt: skip


def test_an_image_without_a_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    print_image(facts(ranges=[{"start": number << 20, "size": 4096} for number in range(20)], missing=5))
    assert capsys.readouterr().out.splitlines() == [
        "image    n.raw.zst", "format   raw inside zstd", "file     1,000 bytes", "RAM      8,192 bytes in 20 ranges",
        *(f"         {number << 20:#014x} - {(number << 20) + 4095:#014x}" for number in range(16)),
        "         ... and 4 more", "MISSING  5 bytes that the headers promise are not in the file",
    ]  # fmt: skip


def test_a_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    whole = facts(
        kernel=KERNEL, coverage="all of it", sha256="cd", clock="2026-01-02T03:04:05.5+00:00",
        booted="2026-01-02T01:00:00+00:00", smear={"seconds": 2.0, "text": "it was read over 2.0 s"},
        gaps=[{"kind": "a", "where": "b", "why": "c", "count": 2}],
    )  # fmt: skip
    print_image(whole)
    assert capsys.readouterr().out.splitlines()[4:] == [
        "              0x000000001000 - 0x000000002fff",
        "coverage      all of it",
        "sha256        cd",
        "taken         2026-01-02 03:04:05.500000 UTC by the image's own clock, 2 h 4 min after the node was started",
        "smear         it was read over 2.0 s",
        "kernel        Linux version 6.1.0\\e[2J",
        "architecture  x86_64, 4-level page tables at 0x1000",
        "KASLR shift   not known",
        "build id      ab",
        "types         BTF",
        "symbols       12,345 from kallsyms",
        "gap           a: c (2)",
    ]


def test_a_packed_file_that_ends_early(capsys: pytest.CaptureFixture[str]) -> None:
    print_image(facts(missing=1))
    assert "MISSING  the file ends early; how much it lacks it does not say" in capsys.readouterr().out.splitlines()
