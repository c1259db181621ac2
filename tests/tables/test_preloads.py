# SPDX-License-Identifier: Apache-2.0
"""What the loader is told to load first: no image has such a file; one that is put there is read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kube.ram import RamSource
from memir.tables.preloads import TABLE, libraries
from tests.injected import renamed

NodeOf = Callable[[str], RamSource]


def test_none_where_there_is_none(image: str, node_of: NodeOf) -> None:
    assert len(TABLE.read(node_of(image))) == 0


@pytest.mark.parametrize("name", ["s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2"])
def test_of_an_image(name: str, node_of: NodeOf) -> None:
    """The file os-release of a layer under another name."""
    node = renamed(node_of(name), "os-release", "ld.so.preload", b"/tmp/.x/a.so\n\n")
    (row,) = TABLE.read(node).rows()
    assert (row["path"], row["libraries"], row["layer"], row["size"]) == (
        "/etc/ld.so.preload", ["/tmp/.x/a.so"], "lower", 14,
    )  # fmt: skip
    assert row["shared_by"] and row["mtime"] is not None and row["inode"] > 0


def test_content_that_is_not_there(node_of: NodeOf) -> None:
    node = renamed(node_of("s-6.1-small"), "os-release", "ld.so.preload", bytes(14))
    (row,) = TABLE.read(node).rows()
    assert row["libraries"] is None
    assert [gap.count for gap in node.gaps if gap.kind == "ld.so.preload"] == [1]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"/a.so /b.so:/c.so\n\t/d.so # /e.so\n#/f.so\n", ["/a.so", "/b.so", "/c.so", "/d.so"]),
        (b"", []), (b"# none\n", []), (b"\0\0 \xff.so", ["\\xff.so"]),
    ],
)  # fmt: skip
def test_words(text: bytes, names: list[str]) -> None:
    assert libraries(text) == names
