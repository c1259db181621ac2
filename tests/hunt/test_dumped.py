# SPDX-License-Identifier: Apache-2.0
"""Memory that was written down process by process: places of pages, units, addresses of hits, kinds that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memir.checkpoint.rows import regions
from memir.checkpoint.source import CheckpointSource
from memir.collected.cores import PageRuns
from memir.errors import UsageError
from memir.hunt.checkpoint import units_of
from memir.hunt.dumped import Dump, Dumped, address_of, check_kinds, hunt_dump, pages_between, units
from memir.hunt.hunt import Options
from memir.hunt.rules import load_rules
from memir.hunt.scan import Scan
from memir.hunt.scanning import scan_units
from tests.checkpoint.sample import archive

RUNS = PageRuns(*np.array([[0x1000, 0x8000], [3, 2], [10, 20]], np.uint64))


def test_pages_of_a_region() -> None:
    place, frame = pages_between(RUNS, 0x2000, 0x9000)
    assert (place.tolist(), frame.tolist()) == ([0, 1, 6], [11, 12, 20])
    place, frame = pages_between(RUNS, 0x5000, 0x6000)
    assert (len(place), len(frame)) == (0, 0)


def test_units() -> None:
    parts: list[dict[str, Any]] = [{"start": 0x2000, "end": 0x4000, "anonymous": False, "path": "/lib/x.so"},
               {"start": 0x5000, "end": 0x6000}, {"start": 0x8000, "end": 0xA000}]  # fmt: skip
    library, heap = units(7, RUNS, parts, "/bin/app", "root")
    assert (library.name, library.pfn.tolist(), library.span) == ("process 7 region 0x2000-0x4000", [11, 12], 2)
    assert library.variables == {"filename": "x.so", "filepath": "/lib", "extension": ".so", "owner": ""}
    assert heap.variables == {"filename": "app", "filepath": "/bin", "extension": "", "owner": "root"}
    (whole,) = units(7, RUNS, parts, "/bin/app", whole=True)
    assert (whole.name, whole.place.tolist(), whole.pfn.tolist()) == ("process 7", [0, 1, 3, 4], [11, 12, 20, 21])
    assert units(7, RUNS, parts[1:2], "/bin/app", whole=True) == units(7, RUNS, parts[1:2], "/bin/app") == []


def test_kinds() -> None:
    check_kinds(Options(), "a checkpoint")
    with pytest.raises(UsageError, match="a checkpoint holds the memory of processes alone"):
        check_kinds(Options(kinds=frozenset({"free"})), "a checkpoint")


def test_hits_and_their_addresses(tmp_path: Path) -> None:
    """Of the one process that is given, at the address where its page map has the page."""
    (tmp_path / "a.yar").write_text('rule marker { strings: $a = "MEMIR-MARKER-42-IN-HEAP" condition: $a }')
    source = CheckpointSource(archive())
    process = next(one for one in source.tree.processes if one.pid == 8)
    assert process.memory is not None
    one = Dumped(8, process.memory, source.container.owner, "pages")
    dump = Dump("image", "a checkpoint", source.tree.pages, source.gaps, source.secrets, [one])
    hunt = hunt_dump(dump, lambda _, whole: units_of(source, process, whole=whole),
                     load_rules([tmp_path / "a.yar"]), Options(workers=1))  # fmt: skip
    assert hunt.rows
    assert {(row["image"], row["pid"], row["source"], row["pod_name"]) for row in hunt.rows} == {
        ("image", 8, "pages", "web-7d9f")
    }
    for row in hunt.rows:
        frame, inside = divmod(row["paddr"], 4096)
        (run,) = np.flatnonzero((process.memory.frame <= frame) & (frame < process.memory.frame + process.memory.count))
        first = int(process.memory.start[run]) + (frame - int(process.memory.frame[run])) * 4096
        assert row["vaddr"] == first + inside


def test_an_address_that_no_run_has(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_text('rule marker { strings: $a = "MEMIR-MARKER-42-IN-HEAP" condition: $a }')
    source = CheckpointSource(archive())
    process = next(one for one in source.tree.processes if one.pid == 8)
    none = PageRuns(*np.zeros((3, 0), np.uint64))
    dump = Dump("image", "a checkpoint", source.tree.pages, source.gaps, source.secrets,
                [Dumped(8, none, source.container.owner, "pages")])  # fmt: skip
    hunt = hunt_dump(dump, lambda _, whole: units_of(source, process, whole=whole),
                     load_rules([tmp_path / "a.yar"]), Options(workers=1))  # fmt: skip
    assert hunt.rows
    assert {row["vaddr"] for row in hunt.rows} == {None}
    scan = Scan(source.tree.pages, load_rules([tmp_path / "a.yar"]), source.gaps)
    scan_units(scan, units_of(source, process), 1, None, "bytes of memory")
    (heap,) = [region for region in regions(source, process) if region["path"] == "[heap]"]
    assert process.memory is not None
    assert all(heap["start"] <= (address_of(process.memory, hit) or 0) < heap["end"] for hit in scan.hits.values())
    assert [address_of(none, hit) for hit in scan.hits.values()] == [None] * len(scan.hits)
