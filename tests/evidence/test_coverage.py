# SPDX-License-Identifier: Apache-2.0
"""What an image covers of its node's RAM, in numbers and in words."""

from __future__ import annotations

from memir.evidence.coverage import (
    AVML_BLOCK,
    SPARE_RECORDS,
    announced_problems,
    compare,
    coverage_of,
    most_records,
)
from memir.evidence.ranges import Range

MIB = 1 << 20
RAM: tuple[Range, ...] = ((0x1000, 0x9F000), (0x100000, 0x100000 + 40 * MIB))
END = RAM[1][1]


def test_compare() -> None:
    assert compare(RAM, RAM).complete
    zero = compare(RAM, [RAM[0], (0x100000, 0x100000 + 32 * MIB)])
    assert (zero.complete, zero.zero) == (True, ((0x100000 + 32 * MIB, END),))
    stopped = compare(RAM, [RAM[0], (0x100000, 0x100000 + 32 * MIB)], ended=False)
    assert (stopped.complete, stopped.missing) == (False, ((0x100000 + 32 * MIB, END),))
    extra = compare(RAM, [*RAM, (END, END + MIB)])
    assert (extra.complete, extra.extra) == (True, ((END, END + MIB),))
    withheld = compare(RAM, RAM[:1], RAM[:1])
    assert (withheld.complete, withheld.withheld) == (False, RAM[1:])


def test_a_node_s_account_that_cannot_be_right() -> None:
    assert announced_problems(1000 * MIB, 900 * MIB, 20 * MIB, 1040 * MIB) == []
    assert announced_problems(0, 900 * MIB, 0, 0) == []
    assert "but the kernel manages" in announced_problems(800 * MIB, 900 * MIB, 0, 0)[0]
    assert "the instance type has" in announced_problems(900 * MIB, 800 * MIB, 0, 1024 * MIB)[0]
    assert announced_problems(900 * MIB, 800 * MIB, 100 * MIB, 1024 * MIB) == []


def test_most_records() -> None:
    assert most_records(()) == SPARE_RECORDS
    assert most_records(((0, 10 * AVML_BLOCK),)) == SPARE_RECORDS + 10


def test_in_words() -> None:
    found, wrong, notes = coverage_of(RAM, RAM, (), "avml")
    assert (found.complete, wrong, notes) == (True, [], [])
    _, wrong, notes = coverage_of(RAM, RAM[:1], (), "avml")
    assert (wrong, len(notes)) == ([], 1)
    assert notes[0].startswith(f"{40 * MIB:,} bytes left out as all-zero blocks")
    _, wrong, notes = coverage_of(RAM, RAM[:1], (), "lime")
    assert (wrong, notes) == ([f"{40 * MIB:,} bytes of System RAM are missing: 0x100000-{END - 1:#x}"], [])
    assert coverage_of((), RAM, (), "avml")[1] == ["/proc/iomem showed no System RAM: nothing to compare with"]
    assert "some ranges came twice" in coverage_of(RAM, [*RAM, RAM[0]], (), "avml")[1][0]
    assert "LiME may read them" in coverage_of(RAM, RAM[:1], RAM[:1], "avml")[1][0]
    assert coverage_of(RAM, RAM, RAM[:1], "lime")[1] == []
    torn = ((0x1000, 0x9FC00),)
    assert coverage_of(torn, [(0x1000, 0x9F000)], (), "avml")[2][0].startswith("3,072 bytes at the edges of RAM")
    beyond = coverage_of(RAM, [*RAM, (END, END + MIB)], (), "avml")[2]
    assert beyond == [f"{MIB:,} bytes outside System RAM: 0x2900000-0x29fffff"]
