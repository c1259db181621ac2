# SPDX-License-Identifier: Apache-2.0
"""Pages of files that are in RAM in part: those of a copied program are the original's, by what the attack's script
did; on samples, whose files are whole, those of a file that is made to lack its end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

import memir
from memir.kernel.filemap import PAGE, contents
from memir.kube.ram import RamSource
from memir.tables import page_hashes
from memir.tables.page_hashes import TABLE, read
from tests.hunt.hunting import planted
from tests.images import cache, case

NodeOf = Callable[[str], RamSource]


def longer(node: RamSource, path: bytes, more: int) -> tuple[RamSource, list[bytes]]:
    """The node with a file that says it has so many pages more; and the pages that it has."""
    names, rows, kernel = node.inodes.names, node.inodes.inodes, node.kernel
    row = next(row for row, inside in enumerate(names.inside) if inside == path and names.layer[row] >= 0)
    place = rows.inode.tolist().index(int(names.inode[row]))
    inode = rows.inode[place : place + 1]
    content = contents(kernel, kernel.embedded(inode, "inode", "i_data"), rows.size[place : place + 1])[0]
    size = len(content.index) * PAGE
    address = kernel.embedded(inode, "inode", "i_size")
    where = int(kernel.space.physical(address)[0][0])
    other = planted(node, {where: (size + more * PAGE - 1).to_bytes(8, "little")})
    return RamSource(other.kernel), [kernel.memory.read(pa, PAGE) for pa in content.pa.tolist()]


def test_whole_files_have_none(image: str, node_of: NodeOf) -> None:
    """Nor have those without a page: what is told here, inodes gives no hash of."""
    node = node_of(image)
    rows = TABLE.read(node).rows()
    whole = {row["address"] for row in node_inodes(node) if row["sha256"]}
    assert not whole & {row["address"] for row in rows}
    assert bool(rows) == image.startswith(("node-", "pod-images", "eks", "frames")), len(rows)


def node_inodes(node: RamSource) -> list[dict[str, object]]:
    from memir.tables.inodes import TABLE as INODES

    return INODES.read(node).rows()


@pytest.mark.parametrize("name", ["s-5.10-small-v1", "s-7.2-small-la57"])
def test_a_file_that_lacks_its_end(name: str, node_of: NodeOf) -> None:
    node, pages = longer(node_of(name), b"/tmp/dropper", 3)
    rows = TABLE.read(node).rows()
    assert [row["offset"] for row in rows] == [PAGE * place for place in range(len(pages))] and len(pages) > 20
    for row, page in zip(rows, pages, strict=True):
        assert row["sha256"] == hashlib.sha256(page).hexdigest() and row["bytes"] == PAGE
        assert row["blank"] == (len(set(page)) == 1) and node.kernel.memory.read(row["frame"], PAGE) == page
        assert (row["path"], row["pod_name"], row["size"]) == ("/tmp/dropper", "miner-0", (len(pages) + 3) * PAGE - 1)
    assert {row["sha256"] for row in node_inodes(node) if row["address"] == rows[0]["address"]} == {None}


def test_what_is_beyond_the_limit_is_counted(node_of: NodeOf, monkeypatch: pytest.MonkeyPatch) -> None:
    node, pages = longer(node_of("s-7.2-small-la57"), b"/tmp/dropper", 1)
    monkeypatch.setattr(page_hashes, "MAX_HASHED", PAGE)
    assert len(read(node)) == 0
    assert [gap.count for gap in node.gaps if (gap.kind, gap.where) == ("sha256", "page_hashes")] == [len(pages)]


def test_read_only_where_it_is_named() -> None:
    with memir.open(case("s-7.2-small-la57").image, cache=cache()) as node:
        assert "page_hashes" in node.tables and "page_hashes" not in node.default_tables
        assert set(node.tables) - set(node.default_tables) == {"page_hashes"}
        assert len(node.sql("select * from page_hashes")) == 0


def test_a_copied_program(image: str, node_of: NodeOf) -> None:
    """The intruder's script ran `cp /usr/bin/python3 /tmp/.x/kworkerds` in the api pod, and then removed it."""
    if not image.startswith("node-"):
        pytest.skip("no node of the lab")
    rows = TABLE.read(node_of(image)).rows()
    copy = {row["offset"]: row for row in rows if row["path"] == "/tmp/.x/kworkerds"}
    original = {row["offset"]: row for row in rows if row["path"] == "/usr/bin/python3.11" and row["shared_by"]}
    both = sorted(set(copy) & set(original))
    assert len(both) > 600 and {row["pod_name"] for row in copy.values()} == {"api-8489696577-l7df2"}
    assert [copy[offset]["sha256"] for offset in both] == [original[offset]["sha256"] for offset in both]
    assert {copy[offset]["frame"] for offset in both}.isdisjoint(original[offset]["frame"] for offset in both)
