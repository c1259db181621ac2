# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Stock volatility3, its automagic included, with the symbol files that memir writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memir.symbols.isf_make import IsfSource
from memir.symbols.locate import locate
from tests.images import ImageCase, cases
from tests.volatility import truth

# One process runs `vol` once a plugin. The jsonschema package is hidden from it: with it vol takes 35 s
# longer.
VOL = """
import contextlib, io, json, sys
sys.modules["jsonschema"] = None
from volatility3.cli import main
common, plugins = sys.argv[1].split("|"), sys.argv[2].split("|")
found = {}
for plugin in plugins:
    sys.argv = ["vol", "-q", "-r", "json", "--offline", *common, plugin]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main()
    found[plugin] = json.loads(out.getvalue())
print(json.dumps(found))
"""


def runs() -> list[Any]:
    """Images that stock volatility3 can read (x86-64 with 4-level page tables) and the plugins to run on them."""
    found = [case for _, case in sorted(cases().items()) if "la57" not in case.name and "arm64" not in case.name]
    # all plugins take stock volatility3 most of a minute an image: two in the long run; tests/plugins run some on one
    whole = [case for case in found if case.name in {"s-5.10-small-v1", "s-6.1-small"}] if os.environ.get("CI") else []
    every = [pytest.param(case, list(truth.CHECKS), id=case.name, marks=pytest.mark.slow) for case in whole]
    few = [case for case in found if case not in whole and case.name != "s-6.1-small"] or found[-1:]
    long = pytest.mark.long("the same on another image")
    return [
        pytest.param(case, ["linux.pslist"], id=f"{case.name}-pslist", marks=long if number else ())
        for number, case in enumerate(few)
    ] + every


@pytest.mark.parametrize(("case", "plugins"), runs())
def test_stock_volatility_is_right_with_our_symbols(case: ImageCase, plugins: list[str], tmp_path: Path) -> None:
    with case.open() as memory:
        found = locate(memory)
        assert found.btf is not None
        symbols = tmp_path / "symbols" / "linux" / ("kernel.json.xz" if "6.12" in case.name else "kernel.json")
        symbols.parent.mkdir(parents=True)
        IsfSource(found.btf, found.symbols.shifted(-(found.shift or 0)), found.banner.encode()).write(symbols)
        image = tmp_path / "image.raw"
        with image.open("wb") as file:
            for start, view in memory.views():
                file.seek(start)
                file.write(view.data)
    common = ["-s", str(tmp_path / "symbols"), "--cache-path", str(tmp_path), "-f", str(image)]
    command = [sys.executable, "-c", VOL, "|".join(common), "|".join(plugins)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"HOME": str(tmp_path)})
    assert ran.returncode == 0, ran.stderr
    results = json.loads(ran.stdout)
    recorded = truth.load(case)
    for plugin in plugins:
        assert truth.unexplained(case, truth.CHECKS[plugin](recorded, results[plugin])) == [], plugin
