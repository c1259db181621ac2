# SPDX-License-Identifier: Apache-2.0
"""Modules run from standard input, by the oldest Python that is here, with nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from memir.collect import node

LOADER = (Path(node.__file__).parent / "loader.py").read_text()


def test_modules_import_each_other_and_main_gets_the_request(tmp_path: Path) -> None:
    modules = [("a", ""), ("a.b", "VALUE = 6\n"), ("a.c", "from a.b import VALUE\ndef main(x): print(VALUE * x)\n")]
    given = json.dumps({"modules": modules, "request": 7}).encode() + b"\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", LOADER], input=given, cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stdout == b"42\n"
    assert list(tmp_path.iterdir()) == []
