# SPDX-License-Identifier: Apache-2.0
"""The progress line: share, rate, time left."""

from __future__ import annotations

import pytest

from memir.report.progress import ProgressLine, words

MIB = 1 << 20


@pytest.mark.parametrize(
    ("done", "total", "moved", "seconds", "line"),
    [
        (512 * MIB, 1024 * MIB, 512 * MIB, 4.0, "hunting 50 %, 128 MiB/s, 0:04 left"),
        (512 * MIB, 1024 * MIB, 512 * MIB, 1.0, "hunting 50 %"),
        (512 * MIB, 0, 512 * MIB, 4.0, "hunting 512 MiB, 128 MiB/s"),
        (3, 12, 3, 6.0, "hunting 3 of 12, 0.5/s, 0:18 left"),
        (1024 * MIB, 100 * 1024 * MIB, 10 * MIB, 10.0, "hunting 1 %, 1 MiB/s, 28:09:36 left"),
        (7, 0, 7, 0.0, "hunting 7"),
    ],
)
def test_words(done: int, total: int, moved: int, seconds: float, line: str) -> None:
    assert words("hunting", done, total, moved, seconds) == line


def test_rate_is_that_of_the_work_at_hand(capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    with ProgressLine(shown=True, clock=lambda: now[0]) as line:
        line("unpacking", 0, 100 * MIB)
        now[0] += 1
        line("hunting", 10 * MIB, 100 * MIB)
        now[0] += 4
        line("hunting", 50 * MIB, 100 * MIB)
        line("hunting", 51 * MIB, 100 * MIB)  # too soon to be shown
    shown = capsys.readouterr().err.split("\r\x1b[K")
    assert shown == ["", "unpacking 0 %", "hunting 10 %", "hunting 50 %, 10 MiB/s, 0:05 left", ""]


def test_many_names_share_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    line = ProgressLine(shown=True, clock=lambda: now[0])
    line("capture", 1 * MIB, 4 * MIB, "node-a")
    now[0] += 1
    line("capture", 2 * MIB, 4 * MIB, "node-b\x1b")
    assert capsys.readouterr().err.endswith("node-a capture 25 %  |  node-b\\e capture 50 %")


def test_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine()
    line("hunting", 1, 2)
    line.wipe()
    assert not line.shown
    assert capsys.readouterr().err == ""
