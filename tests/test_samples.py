# SPDX-License-Identifier: Apache-2.0
"""The images that the project carries are whole, and memir's tables of them are the golden ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from memir.kube.ram import RamSource
from memir.tables.table import read_tables
from samples.make_golden import COLUMNS, HERE
from samples.make_golden import golden as golden_of
from tests.images import cases

IMAGES: list[dict[str, Any]] = json.loads((HERE / "manifest.json").read_text())["images"]


def test_there_are_samples_of_several_kernels() -> None:
    assert len({one["kernel"] for one in IMAGES}) >= 3
    assert {one["architecture"] for one in IMAGES} == {"x86-64", "arm64"}
    assert sum(one["size"] for one in IMAGES) < 70_000_000


@pytest.mark.parametrize("entry", IMAGES, ids=lambda one: one["name"])
def test_sample_is_whole(entry: dict[str, Any]) -> None:
    data = (HERE / entry["file"]).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["size"], entry["sha256"])
    assert (HERE / entry["truth"]).is_file()


@pytest.mark.parametrize("entry", IMAGES, ids=lambda one: one["name"])
def test_golden_tables(entry: dict[str, Any], node_of: Callable[[str], RamSource]) -> None:
    assert entry["name"] in cases()
    golden = json.loads((HERE / entry["golden"]).read_text())
    found = golden_of(read_tables(node_of(entry["name"]), COLUMNS))
    assert found.keys() == golden.keys()
    for name, rows in found.items():
        assert rows == golden[name], name
