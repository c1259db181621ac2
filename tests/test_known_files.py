# SPDX-License-Identifier: Apache-2.0
"""A known file in the page cache: whole, in part, changed, another build's; what cannot be compared is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import memir
from memir.errors import UsageError
from memir.extract.files import Wanted, extract_files
from memir.known_files import known_files
from memir.node import Node
from memir.ram_node import RamNode
from tests.images import cache, case
from tests.tables.test_page_hashes import longer

PAGE = 4096


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with memir.open(case("s-7.2-small-la57").image, cache=cache()) as opened:
        yield opened


@pytest.fixture(scope="module")
def dropper(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of the intruder, whole, as memory has it."""
    folder = tmp_path_factory.mktemp("dropper") / "files"
    taken = [each for each in extract_files(node, folder, Wanted(deleted=True)) if each.path == "/tmp/dropper"]
    assert taken[0].sha256 and taken[0].file
    return folder / taken[0].file


def test_whole(node: Node, dropper: Path) -> None:
    every = known_files(node, [dropper])  # one program is all of the containers' (tests/lab/small/apps.c)
    paths = {match.path: match for match in every if match.verdict == "whole"}
    assert {"/app/server", "/app/client", "/app/entry", "/app/secretd", "/memfd:x", "/tmp/dropper"} <= set(paths)
    memfd, best = paths["/memfd:x"], paths["/tmp/dropper"]
    assert (memfd.verdict, memfd.path, memfd.deleted, memfd.pod_name) == ("whole", "/memfd:x", True, "miner-0")
    assert (best.verdict, best.path, best.deleted, best.pod_name) == ("whole", "/tmp/dropper", True, "miner-0")
    assert best.here == best.pages == -(-dropper.stat().st_size // PAGE)
    assert (best.moved, best.differing, best.shared_by, best.known) == (0, 0, None, str(dropper))


def test_a_part_of_it(node: Node, dropper: Path) -> None:
    """In a node whose file is three pages longer than what is in RAM; and of a known file that goes on as well."""
    other, pages = longer(node.source, b"/tmp/dropper", 3)
    longest = dropper.with_name("longer")
    longest.write_bytes(b"".join(pages) + bytes(range(256)) * 48)
    match = known_files(RamNode(other), [longest])[0]
    assert (match.verdict, match.pages, match.here, match.differing) == ("part", len(pages) + 3, len(pages), 0)


def test_holes_of_an_extracted_file_are_not_compared(node: Node, dropper: Path, tmp_path: Path) -> None:
    """By the manifest beside it; without one, and with one that is damaged, what stands there counts."""
    data = bytearray(dropper.read_bytes())
    data[PAGE : 3 * PAGE] = bytes(2 * PAGE)
    holed = tmp_path / "files" / "pod" / "dropper"
    holed.parent.mkdir(parents=True)
    holed.write_bytes(data)

    def verdict() -> tuple[str, int]:
        (match,) = [match for match in known_files(node, [holed]) if match.path == "/tmp/dropper"]
        return match.verdict, match.differing

    differing = verdict()[1]
    assert verdict()[0] == "changed" and differing in (1, 2)
    manifest = holed.parent.parent / "manifest.json"
    manifest.write_text(json.dumps({"files": [{"file": "pod/dropper", "holes": [[PAGE, 3 * PAGE]]}]}))
    assert verdict() == ("part", 0)
    for damaged in ('{"files": 7}', "{", '{"files": [{"file": "pod/dropper", "holes": [["a"]]}]}'):
        manifest.write_text(damaged)
        assert verdict() == ("changed", differing)


def test_changed_and_moved(node: Node, dropper: Path) -> None:
    data = bytearray(dropper.read_bytes())
    whole = next(match for match in known_files(node, [dropper]) if match.path == "/tmp/dropper")
    data[5000] ^= 1
    changed, behind = dropper.with_name("changed"), dropper.with_name("behind")
    changed.write_bytes(data)
    behind.write_bytes(b"x" * (PAGE - 1) + b"y" + dropper.read_bytes())
    first, *rest = [match for match in known_files(node, [changed, behind]) if match.path == "/tmp/dropper"]
    assert (first.verdict, first.equal, first.differing) == ("changed", whole.equal - 1, 1)
    assert (rest[0].verdict, rest[0].known) == ("alike", str(behind)) and rest[0].moved > whole.equal // 2


def test_nothing_of_it(node: Node, tmp_path: Path) -> None:
    (tmp_path / "none").write_bytes(b"not in this image, not even once" * 200)
    assert known_files(node, [tmp_path / "none"]) == []
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "blank").write_bytes(bytes(3 * PAGE))
    for name in ("empty", "blank"):
        with pytest.raises(UsageError, match="no page that could be told from other files"):
            known_files(node, [tmp_path / name])
    with pytest.raises(UsageError, match=r"absent: cannot be read: No such file"):
        known_files(node, [tmp_path / "absent"])
