# SPDX-License-Identifier: Apache-2.0
"""The time that logs are asked for, cut into slices that are the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from memir.errors import UsageError

MAX_DAYS = 400
"""Days of one run: CloudTrail keeps 90 to be looked up, and a mistyped year should not ask for a decade."""
LATE = timedelta(minutes=20)
"""Until when after its end a slice may still get events: CloudTrail and flow logs come up to 15 minutes late."""


@dataclass(frozen=True, slots=True)
class Window:
    """begin: the first moment. end: the moment after the last one. Both UTC, to the second."""

    begin: datetime
    end: datetime

    @classmethod
    def of(cls, begin: str, end: str, now: datetime) -> Window:
        """From ISO 8601, UTC where no zone is given; an `end` in the future is now. UsageError says what is wrong."""
        first, last = parse("--from", begin), min(parse("--to", end), now.replace(microsecond=0))
        if first >= last:
            raise UsageError(f"--from {text(first)} is not before --to {text(last)}: nothing lies between them")
        if last - first > timedelta(days=MAX_DAYS):
            raise UsageError(f"--from and --to are {(last - first).days} days apart: at most {MAX_DAYS} in one run")
        return cls(first, last)

    def slices(self, step: timedelta) -> Iterator[Window]:
        """Slices that begin at multiples of the step since 1970, the first and the last one cut by the window."""
        seconds = int(step.total_seconds())
        begin = self.begin
        while begin < self.end:
            whole = datetime.fromtimestamp((int(begin.timestamp()) // seconds + 1) * seconds, UTC)
            end = min(whole, self.end)
            yield Window(begin, end)
            begin = end

    def days(self, late: timedelta = LATE) -> Iterator[datetime]:
        """The days, at 00:00 UTC, into which what belongs to the window is filed."""
        day = self.begin.replace(hour=0, minute=0, second=0)
        while day < self.end + late:
            yield day
            day += timedelta(days=1)

    @property
    def name(self) -> str:
        """Both ends as they stand in the names of files: 20261123T221500Z-20261123T223000Z."""
        return f"{self.begin:%Y%m%dT%H%M%SZ}-{self.end:%Y%m%dT%H%M%SZ}"

    @property
    def milliseconds(self) -> tuple[int, int]:
        """(first, last) millisecond since 1970, both inside."""
        return int(self.begin.timestamp()) * 1000, int(self.end.timestamp()) * 1000 - 1


def parse(option: str, words: str) -> datetime:
    """A time as the command line has it, to the second. UsageError if it is none."""
    try:
        time = datetime.fromisoformat(words)
    except ValueError:
        raise UsageError(
            f"{option} {words!r} is no time: write it as 2026-11-23T22:27:43, UTC if no zone is given"
        ) from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)


def text(time: datetime) -> str:
    """2026-11-23T22:27:43Z."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
