# SPDX-License-Identifier: Apache-2.0
"""Windows and their slices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from memir.aws.fetch.window import Window, parse, text
from memir.errors import UsageError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_slices_are_the_same_in_every_run() -> None:
    window = Window.of("2026-11-23T22:20:00", "2026-11-23T23:50:00+01:00", NOW)
    assert [each.name for each in window.slices(timedelta(minutes=15))] == [
        "20261123T222000Z-20261123T223000Z", "20261123T223000Z-20261123T224500Z", "20261123T224500Z-20261123T225000Z",
    ]  # fmt: skip
    assert window.milliseconds == (1795472400000, 1795474199999)
    assert [f"{day:%d}" for day in Window.of("2026-11-23T22:20", "2026-11-23T23:50", NOW).days()] == ["23", "24"]
    assert [f"{day:%d}" for day in window.days()] == ["23"]


def test_the_future_is_not_asked_for() -> None:
    assert Window.of("2026-11-23", "2027-01-01", NOW).end == NOW
    with pytest.raises(UsageError, match="nothing lies between"):
        Window.of("2026-11-24", "2026-11-23", NOW)
    with pytest.raises(UsageError, match="at most 400"):
        Window.of("2020-11-24", "2026-11-23", NOW)


def test_parse() -> None:
    assert text(parse("--from", "2026-11-23T22:27:43.9")) == "2026-11-23T22:27:43Z"
    with pytest.raises(UsageError, match="--to 'yesterday' is no time"):
        parse("--to", "yesterday")
