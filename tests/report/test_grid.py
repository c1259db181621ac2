# SPDX-License-Identifier: Apache-2.0
"""Tables on a terminal: evidence is never cut."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.report.grid import grid, print_facts, print_grid
from memir.text import safe, width

HASH = "0123456789abcdef" * 4
COLUMNS = ["pid", "pod", "path", "sha256", "note"]
ROWS: list[list[Any]] = [
    [4194304, "web-7d4b9c6f5-abcde", "/usr/local/bin/server", HASH, None],
    [17, "miner-0", "/tmp/x", HASH, None],
]


def test_without_an_edge_nothing_wraps_and_nothing_is_left_out() -> None:
    lines = list(grid(COLUMNS, ROWS, None))
    assert len(lines) == 4
    assert lines[0].split() == COLUMNS
    assert lines[2].split() == ["4194304", "web-7d4b9c6f5-abcde", "/usr/local/bin/server", HASH]


def test_idle_columns_are_said_once() -> None:
    lines = list(grid(COLUMNS, ROWS, 80))
    assert lines[:3] == [f"in every row: sha256 {HASH}", "empty: note", ""]
    assert lines[3].split() == ["pid", "pod", "path"]
    assert lines[5].split() == ["4194304", "web-7d4b9c6f5-abcde", "/usr/local/bin/server"]


def test_wraps_at_spaces_only() -> None:
    rows: list[list[Any]] = [[1, " ".join(f"--option={number}" for number in range(9))], [2, "sh"]]
    lines = list(grid(["pid", "args"], rows, 60))
    assert all(width(line) <= 60 for line in lines)
    assert [word for line in lines[2:] for word in line.split() if word.startswith("--o")] == rows[0][1].split()


def test_a_row_becomes_a_block_where_columns_do_not_fit() -> None:
    rows = [[1, HASH, "a" * 50], [2, HASH[::-1], "b" * 50]]
    lines = list(grid(["pid", "sha256", "path"], rows, 80))
    assert lines == [
        "-- 1 --", "pid     1", f"sha256  {HASH}", f"path    {'a' * 50}",
        "-- 2 --", "pid     2", f"sha256  {HASH[::-1]}", f"path    {'b' * 50}",
    ]  # fmt: skip


def test_the_longest_texts_go_below_their_rows() -> None:
    columns = ["severity", "pid", "pod", "title", "id"]
    titles = [" ".join(["runs", letter * 30, "which has been deleted"] * 3) for letter in "ab"]
    rows = [["high", 7, "web", titles[0], "i" * 20], ["low", 12, "db", titles[1], None]]
    assert list(grid(columns, rows, 50)) == [
        "severity  pid  pod  id",
        "--------  ---  ---  --------------------",
        f"high      7    web  {'i' * 20}",
        f"    title: {titles[0]}",
        "low       12   db",
        f"    title: {titles[1]}",
    ]
    narrow = list(grid(columns, rows, 30))
    assert narrow[2:5] == ["high      7    web", f"    title: {titles[0]}", f"    id: {'i' * 20}"]
    assert list(grid(columns, rows, 10))[:2] == ["-- 1 --", "severity  high"]


def test_no_rows_and_no_columns() -> None:
    assert list(grid(["a", "b"], [], 80)) == ["a  b", "-  -"]
    assert list(grid([], [], 80)) == []


WORDS = st.text(alphabet="ab/:\x1b\n日", min_size=1, max_size=40)


@given(
    st.lists(st.tuples(st.integers(0, 2**32), WORDS, st.lists(WORDS, max_size=5)), min_size=2, max_size=5),
    st.integers(1, 150),
)
def test_every_word_is_whole_at_any_width(rows: list[tuple[Any, ...]], room: int) -> None:
    shown = "\n".join(grid(["pid", "path", "args"], rows, room))
    tokens = set(re.split(r"[ \n]+", shown))
    for number, path, words in rows:
        for word in [str(number), path, *words]:
            assert safe(word) in tokens


def test_wide_characters_are_aligned() -> None:
    lines = list(grid(["name", "pid"], [["日本", 1], ["ab", 2]], 80))
    assert lines == ["name  pid", "----  ---", "日本  1", "ab    2"]


def test_four_times_the_rows_take_four_times_as_long() -> None:
    """Not the square of it, as a layout does that measures every cell again for each row. 5,000 rows of 43 columns."""

    def seconds(count: int) -> float:
        rows = [[f"value-{row}-{column}" for column in range(43)] for row in range(count)]
        begun = time.process_time()
        assert sum(1 for _ in grid([f"c{number}" for number in range(43)], rows, 120)) == count * 44
        return time.process_time() - begun

    assert seconds(5000) < 10 * min(seconds(1250) for _ in range(3))


def test_print_grid_counts_and_limits(capsys: pytest.CaptureFixture[str]) -> None:
    print_grid(["pid"], [[1], [2], [3]], limit=2)
    assert capsys.readouterr().out == "pid\n---\n1\n2\n\n3 rows, 1 more not shown (--limit)\n"
    print_grid(["pid"], [[1]])
    assert capsys.readouterr().out == "pid\n---\n1\n\n1 row\n"


def test_print_facts(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts([("image", "x\x1b"), ("", 5), ("build id", None)])
    assert capsys.readouterr().out == "image     x\\e\n          5\nbuild id  None\n"


def on_a_terminal(code: str, **environment: str) -> bytes:
    """What a program prints on a terminal of 80 x 24."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=follower, stdout=follower, stderr=follower,
        env={**os.environ, "COLUMNS": "80", "LINES": "24", **environment},
    )  # fmt: skip
    os.close(follower)
    out = b""
    try:
        while part := os.read(leader, 65536):
            out += part
    except OSError:  # the terminal's other end is closed
        pass
    assert child.wait(30) == 0
    os.close(leader)
    return out


def test_more_than_a_screen_goes_through_the_pager() -> None:
    code = "from memir.report.grid import *\nprint_grid(['n'], [[n] for n in range({})])"
    assert on_a_terminal(code.format(100), PAGER="sed s/^/paged:/").count(b"paged:") == 104
    assert on_a_terminal(code.format(5), PAGER="sed s/^/paged:/").count(b"paged:") == 0
    assert on_a_terminal(code.format(100), PAGER="cat").count(b"\n") == 104
    assert on_a_terminal(code.format(100), PAGER="no-such-pager").count(b"\n") == 104
