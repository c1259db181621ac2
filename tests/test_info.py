# SPDX-License-Identifier: Apache-2.0
"""What an image is, through the library."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import memir
from memir.errors import ImageError
from memir.info import image_facts, iso_time, kernel_facts, taken
from memir.kernel.find import find_kernel
from tests.images import cache, case


def test_describe() -> None:
    path = case("s-6.1-small").image
    described = memir.describe(path, sha256=True, cache=cache())
    facts = described.facts
    assert (described.failure, described.whole, facts["gaps"]) == (None, True, [])
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (facts["format"], facts["container"], facts["ram_size"]) == ("raw", "zstd", 192 << 20)
    assert facts["kernel"]["release"] == "6.1.0-50-cloud-amd64"
    assert facts["kernel"]["kaslr_shift"] == 0x1900_0000
    assert facts["clock"] == "2026-11-23T22:12:42.272000+00:00"
    assert facts["booted"] < facts["clock"]
    assert facts["ram_share"] == 1.0


def test_describe_what_has_no_kernel(tmp_path: Path) -> None:
    (tmp_path / "zeros.raw").write_bytes(bytes(8 << 20))
    described = memir.describe(tmp_path / "zeros.raw")
    assert described.failure is not None
    assert "no Linux kernel found" in str(described.failure)
    assert (described.whole, described.facts["kernel"], described.facts["clock"]) == (False, None, None)
    with pytest.raises(ImageError, match="cannot be opened"):
        memir.describe(tmp_path / "absent")


def test_image_facts(tmp_path: Path) -> None:
    (tmp_path / "zeros.raw").write_bytes(bytes(8 << 20))
    from memir.open_node import open_memory

    with open_memory(tmp_path / "zeros.raw") as memory:
        assert image_facts(memory)["ranges"] == [{"start": 0, "size": 8 << 20}]


def test_iso_time() -> None:
    assert iso_time(None) is None
    assert iso_time(1_500_000_999) == "1970-01-01T00:00:01.500000+00:00"
    assert iso_time(1 << 80) is None


def test_taken_and_kernel_facts() -> None:
    kernel = find_kernel(case("s-6.1-small").open())
    when = taken(kernel)
    assert when["clock"] == "2026-11-23T22:12:42.272000+00:00"
    assert str(when["booted"]).startswith("2026-11-23T22:12:29.")
    facts = kernel_facts(kernel.anchors, kernel)
    assert (facts["arch"], facts["paging_levels"], facts["build_id"]) == (
        "x86_64", 4, "bb603a9147d3efe4744bf83c83eee397c591cc20",
    )  # fmt: skip
