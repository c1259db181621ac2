# SPDX-License-Identifier: Apache-2.0
"""What is not an image, or not a whole one: the exit code, one message that says what and where, no traceback."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from memir.kernel.engine import Kernel
from memir.symbols.locate import locate
from tests.cli.conftest import Memir
from tests.images import case

VERBS = ("info", "analyze", "symbols")
LIME = struct.Struct("<IIQQQ")


def command(verb: str, image: object, folder: Path) -> list[object]:
    return [verb, image, *(["-o", folder / "out.json"] if verb == "symbols" else [])]


WHY = {
    "absent": "memir: {}: cannot be opened: No such file or directory",
    "folder": "memir: {} is a folder: give an image file, or an evidence folder that memir acquire wrote",
    "empty": "memir: {} is empty",
    "notes": (
        "memir: {}: 15000 bytes that begin with b'meeting at ten\\nm': no format memir knows, and too small for raw RAM"
    ),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", WHY)
def test_no_image(verb: str, name: str, memir: Memir, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "notes").write_text("meeting at ten\n" * 1000)
    ran = memir(*command(verb, tmp_path / name, tmp_path))
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == WHY[name].format(tmp_path / name) + "\n"


def test_zeros(memir: Memir, tmp_path: Path) -> None:
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(8 << 20)
    ran = memir("analyze", tmp_path / "zeros")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        f"memir: {tmp_path / 'zeros'}: no Linux kernel found: neither VMCOREINFO nor BTF is in the image (not a Linux "
        "node, an encrypted or damaged image, or a kernel without BTF: then supply --isf FILE)\n"
        "       It holds 8,388,608 bytes of RAM up to 0x7fffff; a raw file does not say how much the node has. The "
        "kernel's own code and data may lie in what is missing: compare that with the node's RAM (/proc/iomem, the "
        "machine's type), and if it has more, copy it again, or acquire again\n"
    )


def test_the_kernel_lies_in_what_is_missing(memir: Memir, raw_image: Path, tmp_path: Path) -> None:
    """Cut before the kernel's own code: what is there, what the header promises, and the next step."""
    data = raw_image.read_bytes()
    ran = memir("analyze", lime(tmp_path / "cut.lime", [(0x100000, data[0x100000:])], cut=len(data) // 2))
    assert (ran.code, ran.out) == (3, "")
    assert (
        "It holds 99,614,720 bytes of RAM up to 0x5ffffff, 49.7 % of what its headers promise (100,663,296 bytes are "
        "missing). The kernel's own code and data may lie in what is missing: copy it again, or acquire again"
    ) in ran.err
    assert memir("info", tmp_path / "cut.lime").err == ran.err
    parts = [(0x1000, data[0x1000:0x9F000]), (0x100000, data[0x100000:0x4000000])]
    ran = memir("hunt", lime(tmp_path / "low.lime", parts))
    assert ran.code == 3
    assert "66,707,456 bytes of RAM up to 0x3ffffff in 2 ranges; its headers promise no more." in ran.err


def test_a_case_or_an_address_for_an_image(memir: Memir, raw_image: Path, analysed: Path, tmp_path: Path) -> None:
    assert analysed == tmp_path / "case"
    ran = memir("info", tmp_path / "case")
    assert (ran.code, ran.err) == (
        3, f"memir: {tmp_path}/case is a case, not an image: ask it with `memir query {tmp_path}/case --list`, or give "
        "the image itself\n",
    )  # fmt: skip
    assert memir("query", tmp_path / "case", "--list").code == 0
    ran = memir("query", raw_image, "select 1")
    assert ran.code == 3
    assert f"it is a file. `memir analyze {raw_image} -o CASE` writes a case" in ran.err
    ran = memir("verify", raw_image)
    assert ran.code == 2
    assert f"{raw_image} is a file: verify takes the folder that `memir acquire` wrote" in ran.err
    assert "not http: addresses" in memir("info", "http://host/node.raw").err


def test_a_file_without_types_for_btf(memir: Memir, raw_image: Path) -> None:
    """The file is blamed, and neither the image nor its kernel."""
    ran = memir("info", raw_image, "--btf", raw_image)
    assert ran.code == 3
    assert f"memir: {raw_image}: neither BTF nor an ELF file with a .BTF section. Give /sys/kernel/btf" in ran.err


def lime(path: Path, parts: list[tuple[int, bytes]], cut: int = 0) -> Path:
    """A LiME file; `cut` bytes are missing at its end."""
    data = b"".join(LIME.pack(0x4C694D45, 1, start, start + len(one) - 1, 0) + one for start, one in parts)
    path.write_bytes(data[: len(data) - cut])
    return path


def test_truncated_lime(memir: Memir, raw_image: Path, analysed_once: tuple[Path, Any], tmp_path: Path) -> None:
    """The last 1 MiB is missing: analysed, the share said first, and exit 3; with --allow-truncated 0."""
    data = raw_image.read_bytes()
    image = lime(tmp_path / "cut.lime", [(0, data)], cut=1 << 20)
    tables = ("--tables", "processes,containers,pods,findings")
    partial = memir("analyze", image, *tables)
    assert (partial.code, partial.err) == (3, "")
    assert partial.out.startswith(
        "RAM         99.5 % of the node's RAM is in the image (199,879,680 of 200,797,184 bytes, "
    )
    assert "hidden task" not in partial.out
    for verb in ("info", "hunt"):
        ran = memir(verb, image, *(["--kinds", "free"] if verb == "hunt" else []))
        assert ran.code == 3
        assert "99.5 % of the node's RAM is in the image" in ran.out
        assert memir(verb, image, "--allow-truncated", *(["--kinds", "free"] if verb == "hunt" else [])).code == 0
    ran = memir("analyze", image, *tables, "--allow-truncated", "--json")
    document = ran.json()
    assert ran.code == 0
    assert document["evidence"]["missing"] == 1 << 20
    missing = [(gap["why"], gap["count"]) for gap in document["gaps"] if gap["kind"] == "image"]
    assert missing == [("bytes that the headers promise are missing", 1 << 20)]
    whole = analysed_once[1]
    kept = {row["pid"]: row["uid"] for row in document["rows"]["processes"]}
    assert kept.items() <= {row["pid"]: row["uid"] for row in whole["rows"]["processes"]}.items()


def test_btf_of_another_kernel(memir: Memir, raw_image: Path, tmp_path: Path) -> None:
    """Types that do not fit are refused: the kernel's first task is not where they say."""
    memory = case("s-5.10-small-v1").open()
    anchors = locate(memory)
    start, stop = (anchors.image_pa(anchors.symbols[name]) for name in ("__start_BTF", "__stop_BTF"))
    (tmp_path / "vmlinux").write_bytes(memory.read(start, stop - start))
    assert Kernel(memory, anchors).space.fmt.levels == 4
    ran = memir("analyze", raw_image, "--btf", tmp_path / "vmlinux")
    assert (ran.code, ran.out) == (3, "")
    assert "its first task (swapper/0) is not where the symbols say" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["analyze"],
        ["analyze", "x", "--no-such-option"],
        ["no-such-verb"],
        ["query", "x"],
        ["symbols", "--btf", "vmlinux"],
        ["analyze", "IMAGE", "--base", "here"],
    ],
    ids=" ".join,
)
def test_usage(words: list[str], memir: Memir, raw_image: Path) -> None:
    ran = memir(*[raw_image if word == "IMAGE" else word for word in words])
    assert (ran.code, ran.out) == (2, "")
    assert ran.err
