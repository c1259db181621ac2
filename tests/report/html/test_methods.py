# SPDX-License-Identifier: Apache-2.0
"""Methods in the page: versions, runs, and how each kind that could be looked for is decided."""

from __future__ import annotations

import importlib.metadata

import pytest

from memir.findings.detect import able
from memir.findings.registry import detections
from memir.report.html.methods import methods


def test_methods() -> None:
    runs = [{"run": "analyze"}]
    told = methods({"runs": runs}, ["processes"])
    assert told["runs"] == runs and told["libraries"]["pyarrow"] == importlib.metadata.version("pyarrow")
    assert [each["kind"] for each in told["detections"]] == [each.kind for each in able(["processes"])]
    first = told["detections"][0]
    known = detections()[first["kind"]]
    assert first["how"] == known.how and first["technique"].startswith(f"{known.technique} ")


def test_a_library_that_is_not_there_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memir.report.html.methods._LIBRARIES", ("numpy", "no-such-library"))
    assert list(methods({"runs": []}, [])["libraries"]) == ["numpy"]
