# SPDX-License-Identifier: Apache-2.0
"""Modules run from standard input, by the oldest Python that is here, with nothing written."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from memir.collect import node
from memir.collect.node.loader import main

LOADER = (Path(node.__file__).parent / "loader.py").read_text()


def test_modules_import_each_other_and_main_gets_the_request(tmp_path: Path) -> None:
    modules = [("a", ""), ("a.b", "VALUE = 6\n"), ("a.c", "from a.b import VALUE\ndef main(x): print(VALUE * x)\n")]
    given = json.dumps({"modules": modules, "request": 7}).encode() + b"\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", LOADER], input=given, cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stdout == b"42\n"
    assert list(tmp_path.iterdir()) == []


def test_in_this_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    modules = [("loaded", ""), ("loaded.b", "VALUE = 6\n"), ("loaded.c", "import loaded.b\ndef main(x): print(x)\n")]
    line = json.dumps({"modules": modules, "request": 7}).encode() + b"\nrest"
    for name, _ in modules:
        monkeypatch.setitem(sys.modules, name, sys)  # taken back at the test's end
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(line)))
    main()
    assert capsys.readouterr().out == "7\n"
    assert sys.modules["loaded.b"].VALUE == 6
