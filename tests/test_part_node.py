# SPDX-License-Identifier: Apache-2.0
"""Parts of a node: the tables they lack are a gap, and each verb that needs a kernel refuses them in words."""

from __future__ import annotations

from pathlib import Path

import pytest

import memir
from memir.cli.handler import run
from memir.cli.main import invoke
from memir.errors import UsageError
from memir.part_node import PartNode, refuse_options
from tests.checkpoint.sample import archive
from tests.collected.made import folder

OF_A_KERNEL = {
    "extract files": ("extract", "files", "IMAGE", "-o", "OUT"),
    "extract memory": ("extract", "memory", "IMAGE", "-o", "OUT"),
    "extract container": ("extract", "container", "IMAGE", "--container", "web", "-o", "OUT"),
    "pages": ("pages", "IMAGE"),
    "pages --known": ("pages", "IMAGE", "--known", "IMAGE"),
    "symbols": ("symbols", "IMAGE", "-o", "OUT"),
    "run": ("run", "linux.pslist", "IMAGE"),
}


@pytest.fixture(scope="module", params=["a checkpoint archive", "a collected pod"])
def part(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(path, what it is)."""
    path = archive() if "checkpoint" in request.param else folder(tmp_path_factory.mktemp("part") / "ev")
    return path, request.param


@pytest.mark.parametrize("verb", OF_A_KERNEL)
def test_what_needs_a_kernel_says_that_there_is_none(
    part: tuple[Path, str], verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, what = part
    words = {"IMAGE": str(path), "OUT": str(tmp_path / "out")}
    assert run(invoke, [words.get(word, word) for word in OF_A_KERNEL[verb]]) == 2
    line = f"memir: {path} is {what}, which has no kernel: `memir analyze` and `memir hunt` take it\n"
    assert capsys.readouterr() == ("", line)
    assert not (tmp_path / "out").exists()


def test_the_tables_that_it_lacks_are_a_gap(part: tuple[Path, str]) -> None:
    path, what = part
    with memir.open(path) as node:
        assert isinstance(node, PartNode)
        assert (node.what, node.cluster) == (what, None)
        (lacks,) = [gap for gap in node.gaps if gap.kind == "table"]
        assert lacks.why == f"{what.removesuffix(' archive')} does not hold what it is of"
        assert not set(lacks.where.split(", ")) & set(node.tables)
        assert node.facts() == node.facts("its hash is its identity's own")


def test_options_for_ram_are_refused() -> None:
    refuse_options({"btf": None}, "x is a checkpoint")
    refuse_options(None, "x is a checkpoint")
    with pytest.raises(UsageError, match=r"^--isf: x is a checkpoint: leave it out$"):
        refuse_options({"btf": None, "isf": "k.json"}, "x is a checkpoint")
