# SPDX-License-Identifier: Apache-2.0
"""A symbol file in place of what the image holds: of another boot of the same kernel, or of a wrong one."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from memir.errors import IsfError, KernelNotFoundError, SymbolsError
from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols import vmcoreinfo
from memir.symbols.isf_source import of_kernel
from memir.symbols.locate import Given, locate
from memir.symbols.locate_isf import locate_with_isf
from tests.damage import PAGE, damaged, zeroed
from tests.images import case, cases
from tests.rows import rows_of
from tests.symbols.located import located

BOOTS = {
    "s-6.1-small": ("s-6.1-small", "s-6.1-small-la57", "node-6.1"),
    "arm64-6.12-small-lpa2": ("arm64-6.12-small-lpa2",),
    "s-7.2-small-la57": ("s-7.2-small-la57",),
}
PAIRS = [
    pytest.param(source, boot, marks=() if boot == "s-6.1-small" else pytest.mark.long("another kernel"))
    for source, boots in BOOTS.items()
    for boot in boots
    if boot in cases()
]


@pytest.fixture(scope="module")
def symbol_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The symbol file of a kernel, by the image's name, made when first asked for."""
    folder = tmp_path_factory.mktemp("isf")

    @functools.cache
    def made(name: str) -> Path:
        of_kernel(located(name)[1]).write(folder / f"{name}.json")
        return folder / f"{name}.json"

    return made


@pytest.mark.parametrize(("source", "boot"), PAIRS)
def test_same_tables_as_with_btf(source: str, boot: str, symbol_file: Callable[[str], Path]) -> None:
    memory, anchors = located(boot)
    gaps = Gaps()
    found = locate(memory, Given(isf=symbol_file(source)), gaps=gaps)
    assert (found.arch, found.image_delta, found.init_task) == (anchors.arch, anchors.image_delta, anchors.init_task)
    assert found.banner == anchors.banner
    assert found.sources["types"] == f"ISF {symbol_file(source).name}"
    with_isf = RamSource(Kernel(memory, found, gaps))
    plain = RamSource(Kernel(memory, anchors))
    with_isf.secret_key = plain.secret_key = bytes(32)  # else fingerprints of secrets differ from source to source
    assert rows_of(with_isf) == rows_of(plain)


def test_image_without_vmcoreinfo(symbol_file: Callable[[str], Path]) -> None:
    memory, anchors = located("s-6.1-small")
    bare = damaged(memory, zeroed(info.address // PAGE for info in vmcoreinfo.find(memory)))
    found = locate(bare, Given(isf=symbol_file("s-6.1-small")))
    assert (found.release, found.image_delta, found.shift) == (anchors.release, anchors.image_delta, anchors.shift)
    assert found.symbols["init_task"] == anchors.init_task


@pytest.mark.parametrize("vmcore", [True, False])
def test_symbol_file_of_another_kernel(vmcore: bool, symbol_file: Callable[[str], Path]) -> None:
    memory = case("s-5.10-small-v1").open()
    if not vmcore:
        memory = damaged(memory, zeroed(info.address // PAGE for info in vmcoreinfo.find(memory)))
    with pytest.raises(SymbolsError, match=r"is of another kernel|that fits the types and addresses of"):
        locate(memory, Given(isf=symbol_file("s-6.1-small")))


def test_same_release_but_another_build(tmp_path: Path, symbol_file: Callable[[str], Path]) -> None:
    """A kernel of the same release that was built another day has its parts elsewhere."""
    document = json.loads(symbol_file("s-6.1-small").read_text())
    for symbol in document["symbols"].values():
        if symbol["address"] > 1 << 63 and symbol["address"] != document["symbols"]["init_task"]["address"]:
            symbol["address"] += 0x40
    file = tmp_path / "moved.json"
    file.write_text(json.dumps(document))
    with pytest.raises(IsfError, match=r"its banner .* is not where it puts it"):
        locate(located("s-6.1-small")[0], Given(isf=file))


def test_without_anything_from_the_image(symbol_file: Callable[[str], Path]) -> None:
    """Types and addresses alone: the first task tells the rest. A delta that does not fit finds nothing."""
    memory, anchors = located("s-6.1-small")
    file = symbol_file("s-6.1-small")
    found = locate_with_isf(memory, file, None, None)
    assert (found.image_delta, found.shift, found.init_task) == (anchors.image_delta, anchors.shift, anchors.init_task)
    assert (found.release, found.banner, found.build_id) == (anchors.release, anchors.banner, None)
    assert found.symbols["_text"] == anchors.symbols["_text"]
    assert found.numbers == {}
    with pytest.raises(KernelNotFoundError, match="no first task"):
        locate_with_isf(memory, file, anchors.image_delta + 0x1000, None)


def test_symbol_file_without_init_task(tmp_path: Path, symbol_file: Callable[[str], Path]) -> None:
    document = json.loads(symbol_file("s-6.1-small").read_text())
    del document["symbols"]["init_task"]
    file = tmp_path / "less.json"
    file.write_text(json.dumps(document))
    with pytest.raises(IsfError, match="has no symbol init_task"):
        locate(located("s-6.1-small")[0], Given(isf=file))
