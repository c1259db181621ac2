# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import BtfError
from memir.kernel.find import find_kernel
from memir.kernel.fits import CACHES, mismatch, object_sizes
from memir.symbols.locate import Given, locate
from tests.damage import damaged, zeroed
from tests.images import case
from tests.kernel.accounts import ARM, X86, kernel
from tests.symbols.btf_real import kernel_btf


@pytest.mark.parametrize("name", [X86, ARM, "s-5.10-small-v1", "s-7.2-small-la57"])
def test_a_kernels_own_types_fit(name: str) -> None:
    whole = kernel(name)
    sizes = object_sizes(whole)
    assert sizes["dentry"] == whole.types.size("dentry")
    assert len(sizes.keys() & CACHES.keys()) >= 5
    assert mismatch(whole) is None


@pytest.mark.parametrize("other", ["s-5.10-small-v1", "s-7.2-small-la57", ARM])
def test_types_of_another_kernel_are_refused_and_named(other: str, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux.btf"
    path.write_bytes(kernel_btf(case(other)))
    with (
        case(X86).open() as memory,
        pytest.raises(
            BtfError, match=r"vmlinux\.btf: these are not the types of the image's kernel: .*Leave --btf out"
        ),
    ):
        find_kernel(memory, Given(btf=path))


def test_its_own_types_given_by_hand_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux.btf"
    path.write_bytes(kernel_btf(case(X86)))
    with case(X86).open() as memory:
        assert find_kernel(memory, Given(btf=path)).anchors.sources["types"] == "BTF file"


@pytest.mark.parametrize("why", ["torn", "built without"])
def test_without_btf_it_is_said_why_and_what_to_get(why: str, tmp_path: Path) -> None:
    whole = kernel(X86)
    start = whole.anchors.image_pa(whole.symbols["__start_BTF"])
    memory = damaged(whole.memory, zeroed([start >> 12]))
    if why == "torn":
        with pytest.raises(BtfError, match=rf"the BTF of kernel .* at physical {start:#x} is not whole in the image"):
            locate(memory)
        return
    listing = tmp_path / "kallsyms"
    names = ("_stext", "_end", "_text", "init_task", "swapper_pg_dir", "linux_banner")
    lines = [f"{whole.symbols[name]:016x} T {name}" for name in names if name in whole.symbols]
    listing.write_text("\n".join(lines) + "\n")
    release = whole.anchors.release
    with pytest.raises(BtfError, match=f"kernel {release} was built without BTF") as caught:
        locate(memory, Given(kallsyms=listing))
    assert f"linux-image-{release}-dbg" in str(caught.value)
    assert f"build id {whole.anchors.build_id}" in str(caught.value)
    assert "dwarf2json linux --elf vmlinux > kernel.json" in str(caught.value)
