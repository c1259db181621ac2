# SPDX-License-Identifier: Apache-2.0
"""Paths of kernfs nodes, and how /proc/PID/cgroup is written."""

from __future__ import annotations

import pytest

from memir.kernel.cgroup import Hierarchies, kernfs_paths
from tests.kernel.fake import DIRECT, fake_kernel, u64


def at(number: int) -> int:
    return DIRECT + 0x1000 + 64 * number


def nodes(content: dict[int, tuple[int | None, bytes]]) -> dict[int, int | bytes]:
    """Node number: (parent, name)."""
    words: dict[int, int | bytes] = {}
    for number, (parent, name) in content.items():
        text = 0x20000 + 512 * number
        words[0x1000 + 64 * number + 8] = 0 if parent is None else at(parent)
        words[0x1000 + 64 * number + 16] = DIRECT + text
        words[text] = name + b"\0"
    return words


def test_paths() -> None:
    kernel = fake_kernel(nodes({0: (None, b""), 1: (0, b"kubepods"), 2: (1, b"p\xc3\xb6d\xff"), 3: (None, b"")}))
    assert kernfs_paths(kernel, u64(at(2), at(0), 0, at(1), at(2))) == [
        "/kubepods/pöd\\xff", "/", None, "/kubepods", "/kubepods/pöd\\xff",
    ]  # fmt: skip


def test_parents_that_loop_are_absent_or_have_no_name() -> None:
    kernel = fake_kernel(nodes({1: (2, b"a"), 2: (1, b"b"), 3: (1 << 30, b"c"), 4: (0, b""), 0: (None, b"")}))
    assert kernfs_paths(kernel, u64(at(1), at(2), at(3), at(4))) == [None, None, None, None]


def test_deeper_than_any_path() -> None:
    kernel = fake_kernel(nodes({0: (None, b"")} | {number: (number - 1, b"d") for number in range(1, 300)}))
    assert kernfs_paths(kernel, u64(at(200), at(299))) == ["/" + "/".join("d" * 200), None]


def test_lines_of_proc() -> None:
    one = Hierarchies(((4, "name=systemd", "/a"), (3, None, "/b"), (2, "pids", None), (0, "", "/c")), dead=True)
    assert one.lines() == ["4:name=systemd:/a", "0::/c (deleted)"]


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        ((), None),
        (((0, "", "/a"),), "/a"),
        (((0, "", "/"),), "/"),
        (((0, "", None),), None),
        (((3, "cpu", "/x/y"), (0, "", "/a")), "/a"),
        (((4, "name=systemd", "/s"), (3, "cpu", "/x/y"), (0, "", "/")), "/s"),
        (((3, "cpu", "/x"), (2, "pids", "/x/y"), (0, "", "/")), "/x/y"),
        (((3, "cpu", "/"), (2, "pids", "/")), "/"),
    ],
)
def test_path_that_identifies(rows: tuple[tuple[int, str, str | None], ...], path: str | None) -> None:
    assert Hierarchies(rows).path() == path
