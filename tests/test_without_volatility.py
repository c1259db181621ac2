# SPDX-License-Identifier: Apache-2.0
"""All that is Apache-2.0 works where volatility3 is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images import ROOT, case
from tests.modules import modules

# every finder but those of built-in and frozen modules is asked through this one
BLOCKED = """
import sys
class Without:
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] == "volatility3" else self.finder.find_spec(name, path, target)
    def __getattr__(self, name): return getattr(self.finder, name)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""
# on nodes these run alone, with the node's own Python
ON_NODES = ("memir/acquire/node/",)


def without(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python code in a process that cannot import volatility3."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", BLOCKED + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)


def memir(*arguments: str) -> subprocess.CompletedProcess[str]:
    return without("from memir.cli.main import main; main()", *arguments)


def test_the_block_blocks() -> None:
    assert "No module named 'volatility3'" in without("import volatility3").stderr


def test_every_other_module_is_imported() -> None:
    names = [
        ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path in modules()
        if path.parts[:2] not in {("memir", "volatility"), ("plugins", "linux")}
        and path.name != "__main__.py"
        and not str(path).startswith(ON_NODES)
    ]
    assert len(names) > 100
    done = without("import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)", *names)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("case") / "case"


def test_a_node_is_analysed_and_asked(folder: Path) -> None:
    image = str(case("s-5.10-small-v1").image)
    done = memir("analyze", image, "-o", str(folder))
    assert done.returncode == 0, done.stderr
    asked = memir("query", str(folder), "SELECT pod_name FROM pods ORDER BY 1", "--json")
    assert asked.returncode == 0, asked.stderr
    assert "miner-0" in json.dumps(json.loads(asked.stdout))


def test_a_node_is_hunted(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yar"
    rules.write_text('rule Heap { strings: $a = "MEMIR-HEAP-SECRET-" condition: $a }')
    done = memir("hunt", str(case("s-5.10-small-v1").image), "--rules", str(rules), "--json")
    assert done.returncode in (0, 1), done.stderr
    assert {row["pod_name"] for row in json.loads(done.stdout)["hits"]} == {"miner-0"}


def test_the_verb_that_needs_it_says_so(tmp_path: Path) -> None:
    done = memir("run", "linux.pslist.PsList", str(case("s-5.10-small-v1").image))
    assert done.returncode not in (0, 70), done.stderr
    assert "volatility3" in done.stderr
    assert "Traceback" not in done.stderr
