# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from memir.errors import ImageError, ImageFormatError, TruncatedImageError
from memir.image.kdump import read_layout
from memir.image.layout import Range
from memir.image.open import open_image
from memir.image.source import MappedFile
from memir.kernel import ram
from memir.kernel.engine import Kernel
from memir.symbols import vmcoreinfo
from tests.fuzz import cases, mutations
from tests.image.files import KDUMP_FLAGS, PAGE, THREE, ehdr, kdump, noise, note, phdr, put
from tests.kernel.accounts import X86, kernel, raw

WHOLE = [(pa, data) for pa, data in THREE]


def test_a_source_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="no kdump header at its start"):
        read_layout(MappedFile(put(tmp_path, noise(PAGE))), False, tmp_path)


@pytest.mark.parametrize("how", sorted(KDUMP_FLAGS))
def test_every_packing(how: str, tmp_path: Path) -> None:
    with open_image(put(tmp_path, kdump(WHOLE, how)), cache=tmp_path) as memory:
        assert (memory.format, memory.container, memory.missing) == ("kdump", None, 0)
        assert memory.ranges == (Range(0x1000, 3 * PAGE), Range(0x100000, 75 * PAGE))
        for pa, data in WHOLE:
            assert memory.read(pa, len(data)) == data


def test_pages_left_out_are_absent_and_said(tmp_path: Path) -> None:
    with open_image(put(tmp_path, kdump(WHOLE, level=31, left_out=2)), cache=tmp_path) as memory:
        assert memory.ranges[0] == Range(0x3000, PAGE)
        assert "level 31: page cache, private page cache, user pages, free pages" in memory.repairs[0]


def test_zeros_that_were_left_out_are_zeros(tmp_path: Path) -> None:
    with open_image(put(tmp_path, kdump(WHOLE, level=1, left_out=2)), cache=tmp_path) as memory:
        assert memory.ranges[0] == Range(0x1000, 3 * PAGE)
        assert memory.read(0x1000, 3 * PAGE) == bytes(2 * PAGE) + WHOLE[0][1][2 * PAGE :]
        assert memory.repairs == ()


def test_vmcoreinfo_is_a_note(tmp_path: Path) -> None:
    with open_image(put(tmp_path, kdump(WHOLE, note=b"OSRELEASE=6.1\n")), cache=tmp_path) as memory:
        assert memory.notes == {"VMCOREINFO": b"OSRELEASE=6.1\n"}


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (kdump(WHOLE)[:400], TruncatedImageError, "the kdump header is cut"),
        (kdump(WHOLE)[:9000], TruncatedImageError, "page bitmaps of 8192 bytes at offset 0x2000"),
        (kdump(WHOLE)[: 4 * PAGE + 100], TruncatedImageError, "the descriptors of 78 pages at offset 0x4000"),
        (kdump(WHOLE)[:-10], TruncatedImageError, "the page at offset .* is beyond the end of the file"),
        (kdump(WHOLE, split=1), ImageFormatError, "makedumpfile --reassemble"),
        (kdump(WHOLE)[:428] + b"\1" + kdump(WHOLE)[429:], ImageFormatError, "blocks of 4097 bytes"),
    ],
)
def test_bad_files_say_what_and_where(data: bytes, kind: type[ImageError], words: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=words):
        open_image(put(tmp_path, data), cache=tmp_path)


def test_a_cut_file_opens_if_allowed(tmp_path: Path) -> None:
    data = kdump(WHOLE)
    with open_image(put(tmp_path, data[:-10]), cache=tmp_path, allow_truncated=True) as memory:
        assert memory.missing == PAGE
        assert memory.read(0x1000, PAGE) == WHOLE[0][1][:PAGE]
        assert memory.read_partial(0x100000 + 74 * PAGE, PAGE)[1] == [Range(0x100000 + 74 * PAGE, PAGE)]
    with open_image(put(tmp_path, data[: 4 * PAGE + 24 * 70]), cache=tmp_path, allow_truncated=True) as memory:
        assert memory.missing >= 8 * PAGE


def test_a_damaged_page_says_where(tmp_path: Path) -> None:
    data = bytearray(kdump(WHOLE))
    data[-200:] = bytes(200)
    with (
        open_image(put(tmp_path, bytes(data)), cache=tmp_path) as memory,
        pytest.raises(ImageFormatError, match=r"the page at offset 0x[0-9a-f]+ (is damaged|gave \d+ bytes)"),
    ):
        memory.read(0x100000 + 74 * PAGE, PAGE)


def _core() -> bytes:
    """A core of a sample as /proc/vmcore has it, for makedumpfile to read."""
    whole = kernel(X86)
    info = next(vmcoreinfo.find(whole.memory))
    notes = note(b"CORE\0", bytes(336), 1) + note(b"VMCOREINFO\0", whole.memory.read(info.address, PAGE).rstrip(b"\0"))
    parts = [(0x1000, 0x9F000), (0x100000, 0xBFE0000)]
    begin = -(-(64 + 56 * 4 + len(notes)) // PAGE) * PAGE
    text, end = (whole.anchors.image_pa(whole.symbols[name]) for name in ("_text", "_end"))
    heads = [phdr(4, 64 + 56 * 4, 0, len(notes))]
    at = begin + parts[0][1] - parts[0][0]
    heads.append(phdr(1, at + text - 0x100000, text, end - text, (text + whole.anchors.image_delta) & (2**64 - 1)))
    offset, body = begin, b""
    for low, high in parts:
        heads.append(phdr(1, offset, low, high - low, (low + whole.space.direct_delta) & (2**64 - 1)))
        offset += high - low
        body += raw(X86)[low:high]
    return (ehdr(4) + b"".join(heads) + notes).ljust(begin, b"\0") + body


@pytest.mark.parametrize("options", [["-c"], ["-l"], ["-F", "-c"]])
def test_what_makedumpfile_writes(options: list[str], tmp_path: Path) -> None:
    program = shutil.which("makedumpfile") or shutil.which("makedumpfile", path="/usr/sbin:/sbin")
    assert program, "please install makedumpfile"
    (tmp_path / "core").write_bytes(_core())
    command = [program, *options, "-d", "0", str(tmp_path / "core")]
    if "-F" in options:
        with (tmp_path / "dump").open("wb") as out:
            subprocess.run(command, stdout=out, stderr=subprocess.DEVNULL, check=True, timeout=120)
    else:
        subprocess.run([*command, str(tmp_path / "dump")], capture_output=True, check=True, timeout=120)
    with open_image(tmp_path / "dump", cache=tmp_path) as memory:
        assert memory.format == "kdump"
        assert "VMCOREINFO" in memory.notes
        assert ram.coverage(Kernel(memory, kernel(X86).anchors)).whole
        for pa in (0x1000, 0x100000, 0x5000000, 0xBFDF000):
            assert memory.read(pa, PAGE) == raw(X86)[pa : pa + PAGE]


def test_fuzz(tmp_path: Path) -> None:
    small = [(0x1000, noise(2 * PAGE, 1)), (0x8000, noise(PAGE, 2))]
    seeds = [kdump(small, how) for how in KDUMP_FLAGS]
    opened = 0
    for number, data in enumerate(mutations(seeds, cases())):
        path = put(tmp_path, data)
        try:
            with open_image(path, allow_truncated=bool(number % 2), cache=tmp_path) as memory:
                for pa, view in memory.views():
                    assert memory.read_partial(pa, len(view))[0] == view.tobytes()
                opened += 1
        except ImageError as error:
            assert str(path) in str(error)
    assert opened > cases() // 20
