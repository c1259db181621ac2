# SPDX-License-Identifier: Apache-2.0
"""Hostile names stay below the folder, and two stay two."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.extract.place import component, relative


@pytest.mark.parametrize(
    ("path", "put"),
    [
        ("../../x", "%2E%2E/%2E%2E/x"), ("/etc/passwd", "etc/passwd"), ("a\0b", "a%00b"), ("a\nb", "a%0Ab"),
        ("/", "%00"),
        ("a/./b", "a/%2E/b"), ("C:\\x", "C%3A%5Cx"), ("tmp/.x/kworkerds", "tmp/.x/kworkerds"), ("\x1b[2J", "%1B[2J"),
    ],
)  # fmt: skip
def test_paths(path: str, put: str) -> None:
    assert relative(path) == put


def test_long_and_deep_names() -> None:
    long, other = component("a" * 5000), component("a" * 4999)
    assert len(long) <= 200 and long != other
    assert relative("/".join("d" * 500)).count("/") == 63


@given(st.text(max_size=80))
def test_any_text_stays_inside(text: str) -> None:
    path = PurePosixPath(relative(text))
    assert not path.is_absolute() and ".." not in path.parts and str(path).isprintable()
