# SPDX-License-Identifier: Apache-2.0
"""On every image: where the kernel is, against what the node itself said."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memir.errors import KallsymsError, KernelNotFoundError
from memir.image.memory import PhysicalMemory, Range
from memir.kernel.engine import Kernel
from memir.symbols.locate import X86_LINKED_TEXT, Given, locate
from tests.images import case
from tests.symbols.located import located, recorded_symbols, recorded_system

FIVE = ("la57", "lpa2")
FOUR = ("node-6.1", "s-6.1-small", "s-5.10-small-v1", "s-6.12-small", "arm64-6.1-small-n1", "arm64-7.2-small-pac")


def test_banner_and_release(image: str) -> None:
    _, anchors = located(image)
    version = recorded_system(image).get("version") or case(image).raw_truth().get("version")
    if version:
        assert anchors.banner == version.rstrip("\n")
    assert anchors.banner.startswith(f"Linux version {anchors.release} ")
    assert anchors.build_id is not None
    assert re.fullmatch("[0-9a-f]{40}", anchors.build_id)
    assert anchors.sources["kernel"] == "VMCOREINFO"


def test_physical_base(image: str) -> None:
    """/proc/iomem, as root, names the kernel's code: from _text on x86-64, from _stext or _text on arm64."""
    _, anchors = located(image)
    code = re.search(r"([0-9a-f]+)-[0-9a-f]+ : Kernel code", recorded_system(image).get("iomem", ""))
    if code is None:
        assert not case(image).small, "the recording has no /proc/iomem"
        return
    starts = {anchors.image_pa(anchors.symbols[name]) for name in ("_text", "_stext") if name in anchors.symbols}
    assert int(code[1], 16) in starts


def test_kaslr_shift(image: str) -> None:
    _, anchors = located(image)
    known = recorded_symbols(image)
    if anchors.arch == "x86_64" and "_text" in known:
        assert anchors.shift == known["_text"] - X86_LINKED_TEXT
    assert anchors.shift is not None
    assert anchors.shift % (1 << 12) == 0


def test_page_table_levels(image: str) -> None:
    memory, anchors = located(image)
    kernel = Kernel(memory, anchors)
    if image in FOUR or any(word in image for word in FIVE):
        assert kernel.space.fmt.levels == (4 if image in FOUR else 5)


def test_recorded_symbols(image: str) -> None:
    _, anchors = located(image)
    names = anchors.symbols.names.decode().split("\0")[:-1]
    every = defaultdict(set, {name: {address} for name, address in anchors.symbols.extra.items()})
    for name, address in zip(names, anchors.symbols.addresses.tolist(), strict=True):
        every[name].add(address)
    # static ones of the same name: the recorder kept one of them; those of the overlay module are not the kernel's
    known = {name: address for name, address in recorded_symbols(image).items() if not name.startswith("ovl_")}
    assert {name: address for name, address in known.items() if address not in every[name]} == {}
    assert known or not case(image).small


def test_init_task_by_search(image: str) -> None:
    memory, anchors = located(image)
    assert anchors.symbols.get("init_task", anchors.init_task) == anchors.init_task
    comm = anchors.image_pa(anchors.init_task) + anchors.types.offset("task_struct", "comm")
    assert memory.read(comm, 10) in (b"swapper/0\0", b"swapper\0\0\0")


def reader(content: bytes) -> Callable[[int, int], bytes]:
    return lambda pa, size: content[pa - 0x100000 :][:size]


def test_memory_without_a_kernel() -> None:
    rng = np.random.default_rng(1)
    data = rng.bytes(4 << 20)
    for content in (bytes(4 << 20), data):
        memory = PhysicalMemory.from_reader([Range(0x100000, len(content))], reader(content), "none", "raw")
        with pytest.raises(KernelNotFoundError, match="neither VMCOREINFO nor BTF is in the image"):
            locate(memory)


def test_kallsyms_file_of_another_boot(tmp_path: Path) -> None:
    """A copy of /proc/kallsyms serves other boots of the same kernel: it is moved to where this boot's text is."""
    memory, anchors = located("s-6.1-small")
    symbols = anchors.symbols
    names = symbols.names.decode().split("\0")[:-1]
    lines = [
        f"{address + 0x2400000 if address >> 63 else address:016x} t {name}"
        for name, address in zip(names, symbols.addresses.tolist(), strict=True)
    ]
    file = tmp_path / "kallsyms"
    file.write_text("\n".join(lines) + "\nffffffffc0000000 t init_module\t[overlay]\n")
    found = locate(memory, Given(kallsyms=file))
    assert found.sources["symbols"] == "kallsyms file"
    assert found.symbols["init_task"] == anchors.init_task
    assert found.symbols["cpu_tss_rw"] == symbols["cpu_tss_rw"]
    assert "init_module" not in found.symbols or found.symbols["init_module"] == symbols.get("init_module")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0000000000000000 T _text\n0000000000000000 T _stext\n", "every address is 0"),
        ("ffffffff81000000 T\n", "line 1 is not `address type name`"),
        ("ffffffff81000000 T _text\nhello\n", "line 2 is not"),
    ],
)
def test_kallsyms_file_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "kallsyms"
    file.write_text(text)
    memory, _ = located("s-6.1-small")
    with pytest.raises(KallsymsError, match=message):
        locate(memory, Given(kallsyms=file))
    with pytest.raises(KallsymsError, match="cannot be read"):
        locate(memory, Given(kallsyms=tmp_path / "absent"))
