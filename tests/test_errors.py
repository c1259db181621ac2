# SPDX-License-Identifier: Apache-2.0
"""The error tree and its exit codes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from memir import errors


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0), ([0, 0], 0), ([0, 1], 1), ([1, 5], 5), ([5, 3], 3), ([3, 4], 4), ([4, 2], 2), ([2, 70], 70),
        ([70, 130], 130), ([1, 2, 3, 4, 5, 70, 130], 130), ([1, 3], 3), ([17], 70),
    ],
)  # fmt: skip
def test_worst(codes: list[int], code: int) -> None:
    assert errors.worst(codes) == code


def test_no_kernel() -> None:
    error = errors.no_kernel("c.tar", "a checkpoint archive")
    assert isinstance(error, errors.UsageError)
    assert str(error) == (
        "c.tar is a checkpoint archive, which has no kernel: `memir analyze` and `memir hunt` take it"
    )


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"([A-Z]\w+)  +(?:exit (\d+))?", errors.__doc__ or "")
    known: dict[str, Any] = {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    assert {name for name, _ in drawn} == set(known)
    codes = {name: int(code) for name, code in drawn if code}
    assert codes == {name: known[name].exit_code for name in codes}
    assert {codes["UsageError"], codes["RemoteError"], codes["Interrupted"], codes["MemirError"]} == {2, 4, 130, 3}
