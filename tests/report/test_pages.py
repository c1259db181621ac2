# SPDX-License-Identifier: Apache-2.0
"""Lines at 80 and 200 columns, names never cut; the picture has what the table has."""

from __future__ import annotations

import pytest

from memir.page_use import PageUse, Share
from memir.report.pages import drawing, lines, print_pages, say_drawn

MIB = 1 << 20
POD = Share("pod", "shop", "web", "u", {"anonymous": 3 * MIB, "file": 2 * MIB, "slab": 4096})
LONG = Share("pod", "a" * 40, "b" * 30, "v", {"tmpfs": MIB})
HOST = Share("node", None, None, None, {"slab": 7 * MIB, "page table": MIB, "kernel image": MIB, "vmalloc": MIB,
                                         "block device": MIB, "struct pages": MIB, "kernel stack": MIB})  # fmt: skip
FREE = Share("free", None, None, None, {"free": 9 * MIB})
LOST = Share("not known", None, None, None, {"not known": MIB})
USE = PageUse(
    (POD, LONG, HOST, FREE, LOST), (("/kubepods/old", "w", 8192),), ({"charged_pod_uid": "u", "bytes": 2 * MIB},),
    ((POD, "anonymous", "nginx 5", 3 * MIB), (POD, "file", "/bin/\x1b<x>", MIB), (POD, "file", "/bin/b", MIB),
     (POD, "slab", "dentry", 4096), (LONG, "tmpfs", "/x", MIB), (FREE, "free", "free", 9 * MIB)),
)  # fmt: skip


def test_eighty_columns() -> None:
    text = list(lines(USE, 80))
    assert max(map(len, text)) <= 80
    assert [line.split() for line in text[2:13]] == [
        ["of", "all", "anonymous", "files", "tmpfs", "kernel"], text[3].split(),
        ["shop/web", "5.0", "3.0", "2.0", "<0.1"],
        [LONG.title], ["1.0", "1.0"],
        ["the", "node", "13.0", "1.0", "12.0"], ["free", "9.0"], ["not", "known", "1.0"],
        ["all", "29.0", "3.0", "3.0", "1.0", "12.0"], [], text[12].split(),
    ]  # fmt: skip
    assert "  8 KiB  /kubepods/old" in text
    assert text[-2].endswith("not its alone by process or file: 2.00 MiB")


def test_two_hundred_columns_and_no_edge() -> None:
    for room in (200, None):
        text = list(lines(USE, room))
        assert " ".join(text[2].split()) == (
            "of all slab anonymous file block device kernel image kernel stack page table struct pages tmpfs vmalloc"
        )
        assert max(map(len, text)) <= 200
    assert "removed" not in "\n".join(lines(PageUse((POD,), (), (), ()), 80))


def test_many_removed() -> None:
    use = PageUse((POD,), tuple((f"/old/{number}", None, 4096) for number in range(30)), (), ())
    assert "  and 20 more: see the table pages" in list(lines(use, 80))


def test_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_pages(USE)
    say_drawn("a.svg")
    out = capsys.readouterr().out
    assert out.startswith("RAM in the image: 29.0 MiB, each frame once") and "Picture: a.svg" in out


def test_drawing() -> None:
    text = "\n".join(drawing(USE, "RAM"))
    assert "shop/web · file · /bin/\\e&lt;x&gt;: 1.00 MiB" in text
    assert "shop/web · anonymous: 3.00 MiB" in text and "<title>free · free: 9.00 MiB" in text
    many = tuple((POD, "file", f"/{number}", 4096) for number in range(200))
    assert "the rest" in "\n".join(drawing(PageUse((POD,), (), (), many), "RAM"))
