# SPDX-License-Identifier: Apache-2.0
"""What `hunt` prints."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from memir.case.record import HuntFacts, ImageAnswer, RulesUsed
from memir.gaps import Gaps
from memir.hunts import HuntResult
from memir.kernel.ram import Coverage
from memir.report.hits import cells, print_hits, shares
from memir.view import View

ROW = {
    "hit_id": "1", "rule": "R", "string": "$a", "owner": "process", "pid": 7, "pod_name": "web", "namespace": "shop",
    "pod_uid": "u", "container_name": None, "container_id": "c" * 64, "vaddr": 0x1000, "paddr": 0x2000,
    "path": "/tmp/x", "deleted": True, "data": "d" * 60, "node": None, "image": "b.raw",
}  # fmt: skip


def result(**values: Any) -> HuntResult:
    facts = HuntFacts(RulesUsed(("r",), 1, ("twice\x1b",)), "region", ("files",), 1, 1, {"files": 3 << 20}, **values)
    gaps = Gaps()
    gaps.add("hunt", "here", "why", 2)
    part = Coverage(100, 75, (), "e820_table", {})
    image = None if facts.images else "a.raw"
    return HuntResult("run", View("hits", pa.Table.from_pylist([ROW])), facts, gaps, 1.5, image,
                      None if facts.images else part)  # fmt: skip


def test_one_image(capsys: pytest.CaptureFixture[str]) -> None:
    print_hits(result())
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith(
        "75.0 % of the node's RAM is in the image (75 of 100 bytes, by e820_table): that nothing"
    )
    assert lines[2].split() == ["rule", "string", "owner", "pid", "pod", "container", "address", "path", "data"]
    assert lines[4].split() == ["R", "$a", "process", "7", "shop/web", "c" * 64, "0x1000", "/tmp/x", "(deleted)",
                                "d" * 48 + "..."]  # fmt: skip
    assert lines[-1] == "1 hit, 1 owner; 3 MiB in 1.5 s"
    assert shares(result()) == ["75.0 % of the node's RAM is in the image (75 of 100 bytes, by e820_table)"]
    assert captured.err.splitlines() == ["note: twice\\e", "not covered: hunt: why (2 times, here)"]


def test_no_hit_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    none = result()
    rows = View("hits", pa.Table.from_pylist([], schema=pa.schema([])))
    print_hits(HuntResult(none.run, rows, none.facts, none.gaps, 1.5, "a.raw", none.coverage))
    lines = capsys.readouterr().out.splitlines()
    assert "No rule hit in what was scanned." in lines
    assert not any(line.startswith(("rule", "0 rows")) for line in lines)


def test_many_images(capsys: pytest.CaptureFixture[str]) -> None:
    answers = (
        ImageAnswer("b.raw", "n", 1, 1, 5, 0.1, None, 0.75, 100, 75, "iomem_resource"),
        ImageAnswer("c.raw", None, 0, 0, 0, 0.1, "c.raw: broken\nand more"),
        ImageAnswer("d.raw", "m", 0, 0, 0, 0.1, None, 1.0, 100, 100, "iomem_resource"),
    )
    hunted = replace(result(images=answers), uncovered={"b.raw": 1, "d.raw": 3})
    hunted.gaps.add("image", "c.raw", "broken")
    print_hits(hunted)
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["note: twice\\e", "not covered: hunt: why (2 times, here)"]
    lines = captured.out.splitlines()
    words = "b.raw: 75.0 % of the node's RAM is in the image (75 of 100 bytes, by iomem_resource)"
    assert shares(result(images=answers)) == [words]
    assert lines[0].startswith(f"{words}: that nothing was found proves nothing")
    assert lines[2].split()[0] == "node"
    assert lines[4].split()[0] == "b.raw"
    table = [line.split() for line in lines]
    assert ["b.raw", "n", "1", "75.0", "%", "1", "reason,", "below"] in table
    assert ["d.raw", "m", "0", "100.0", "%", "3", "reasons,", "below"] in table
    assert ["c.raw", "0", "broken"] in table
    assert lines[-1] == "1 hit in 3 images (1 of them failed), 1 owner; 3 MiB in 1.5 s"


def test_cells_of_what_has_no_owner() -> None:
    bare = ROW | {"vaddr": None, "pod_name": None, "namespace": None, "pod_uid": None, "container_id": None,
                  "path": None, "data": "x"}  # fmt: skip
    assert cells(bare) == ("R", "$a", "process", 7, None, None, "phys 0x2000", None, "x")


def test_a_process_of_unknown_place() -> None:
    bare = ROW | {"pod_name": None, "namespace": None, "pod_uid": None, "container_id": None}
    assert cells(bare | {"source": "page table; place of the process not known"})[4] == "place not known"
    assert cells(bare | {"source": "page table"})[4] is None


def test_images_of_one_name_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Two images whose nodes have one name (of two times, of two clusters): hits name the file."""
    answers = (
        ImageAnswer("b.raw", "n", 1, 1, 5, 0.1, None, 1.0, 100, 100, "iomem_resource"),
        ImageAnswer("d.raw", "n", 0, 0, 0, 0.1, None, 1.0, 100, 100, "iomem_resource"),
    )
    print_hits(result(images=answers))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    header = next(number for number, words in enumerate(lines) if words[0] in {"node", "image"})
    assert lines[header][:2] == ["image", "rule"]
