# SPDX-License-Identifier: Apache-2.0
"""Options are fields of dataclasses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from memir.acquire.settings import Shared, argument, option, place_of, size_of
from memir.errors import UsageError


@dataclass
class Example:
    hosts: list[str] = argument("who", "HOST...")
    names: list[str] = option([], "several", "--name")
    port: int | None = option(None, "which", "-p", minimum=1, maximum=9)


def test_fields_carry_what_a_command_line_needs() -> None:
    hosts, names, port = dataclasses.fields(Example)
    assert hosts.metadata == {"help": "who", "metavar": "HOST...", "argument": True}
    assert (names.metadata["flags"], Example(["a"]).names) == (("--name",), [])
    assert (port.metadata["min"], port.metadata["max"], port.default) == (1, 9, None)
    assert all(field.metadata["help"] for field in dataclasses.fields(Shared))


def test_sizes() -> None:
    assert [size_of(text) for text in ("", "7", "500K", "50M", "1GiB", "2gb")] == [
        0, 7, 512_000, 50 << 20, 1 << 30, 2 << 30,
    ]  # fmt: skip
    for text in ("0", "-1", "1T", "x", "1.5M"):
        with pytest.raises(UsageError, match="is no rate"):
            size_of(text)
    with pytest.raises(UsageError, match="--max-size 'x' is no size: write bytes, as"):
        size_of("x", "--max-size")


def test_the_place() -> None:
    assert place_of(Shared(to="s3://b/x")) == "s3://b/x"
    assert place_of(Shared()) is None
    assert place_of(Shared(to="s3://b/x", resume=Path("gone"))) == "s3://b/x"
