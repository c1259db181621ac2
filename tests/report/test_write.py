# SPDX-License-Identifier: Apache-2.0
"""A report's file is whole or not there, and replaces nothing unasked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memir.errors import OutputError
from memir.report.write import write_report


def test_write_report(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    assert write_report([b"ab", b"c"], path) == 3
    assert path.read_bytes() == b"abc" and path.stat().st_mode & 0o077 == 0
    with pytest.raises(OutputError, match="is there already: give another name with -o, or --force"):
        write_report([b"x"], path)
    assert path.read_bytes() == b"abc"
    assert write_report([b"x"], path, force=True) == 1
    assert path.read_bytes() == b"x"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        write_report([b"x"], tmp_path / "absent" / "report.md")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OutputError, match="not a regular file"):
        write_report([b"x"], tmp_path / "link", force=True)


def test_a_form_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("the form's fault")

    with pytest.raises(ValueError, match="the form's fault"):
        write_report(parts(), tmp_path / "report.md")
    assert list(tmp_path.iterdir()) == []
