# SPDX-License-Identifier: Apache-2.0
"""The notebook of the guide runs from end to end, and uses nothing but public names."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

import memir
from tests.images import ROOT, cache, case

NOTEBOOK = ROOT / "docs" / "guide" / "notebook.ipynb"


def cells() -> list[str]:
    return [cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]


def test_it_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEMIR_NOTEBOOK_IMAGE", str(case("s-6.1-small").image))
    monkeypatch.setenv("MEMIR_CACHE", str(cache()))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, 4)
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": ROOT}}
    ).execute()
    shown: list[Any] = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert "memir.Node ip-10-0-1-23" in shown[0][0].data["text/plain"]
    pods = shown[1][0].data
    assert "pods: 3 rows" in pods["text/plain"]
    assert "<td>miner-0</td>" in pods["text/html"]
    assert "memfd-executable" in "".join(output.text for output in shown[4])
    assert "'pod_name': 'web-7d4b9c6f5-abcde'" in shown[6][0].data["text/plain"]


def test_it_uses_public_names_only() -> None:
    trees = [ast.parse(cell) for cell in cells()]
    used = {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "memir"
    }
    assert used <= set(memir.__all__)
    attributes = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {name for name in attributes if name.startswith("_")}
    imported = {
        alias.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    } | {str(node.module) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name.startswith("memir")} == {"memir"}
