# SPDX-License-Identifier: Apache-2.0
"""The images that the project carries are whole, and memir's tables of them are the golden ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from memir.kube.ram import RamSource
from memir.tables.table import tables
from samples.make_golden import HERE, text_of
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
    again = "write them with `python -m samples.make_golden`, and read the difference"
    assert list(golden) == [name for name, table in tables().items() if "ram" in table.readers], again
    for name, table in golden_of(node_of(entry["name"])).items():
        assert table["columns"] == golden[name]["columns"], f"{name}: {again}"
        assert table["rows"] == golden[name]["rows"], name


def test_a_golden_row_is_a_line() -> None:
    text = text_of({"pods": {"columns": ["pod_uid", "labels"], "rows": [["a", ["x=y"]], ["b", None]]}})
    assert text.count("\n") == 6
    assert json.loads(text)["pods"] == {"columns": ["pod_uid", "labels"], "rows": [["a", ["x=y"]], ["b", None]]}
