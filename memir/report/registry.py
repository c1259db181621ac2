# SPDX-License-Identifier: Apache-2.0
"""Forms that a case is written in for others: a file each in memir/report/formats/, found by its name `FORMAT`.

A form's file declares how it is called and gives the bytes of the file, part after part:

    def parts(case: CaseTables, options: Options) -> Iterator[bytes]:
        yield b"..."

    FORMAT = Format("md", "Markdown, for people", parts)
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from memir.errors import CaseError, UsageError
from memir.findings.finding import at_least

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "memir.report.formats"


class CaseTables(Protocol):
    """A case as a form reads it; memir.Case is one."""

    folder: Path
    record: Any
    """The record of case.json, as memir.case.record.CaseRecord has it; None where nothing was written."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""

    def __getitem__(self, name: str) -> pa.Table:
        """A table as Arrow; CaseError for one that the case lacks."""

    def sql(self, sql: str) -> Any:
        """Rows that SQL over the tables gives: `.columns`, `.rows`, `.dicts()`."""


@dataclass(frozen=True)
class Options:
    """What the user asked for. severity: only findings of this one and above; more: options of one form, by name."""

    severity: str | None = None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """name: word of --format. help: what it is, a line. parts: gives the file's bytes.

    text: whether it may go to standard output, where no -o is given.
    """

    name: str
    help: str
    parts: Callable[[CaseTables, Options], Iterator[bytes]]
    text: bool = True


@functools.cache
def formats() -> dict[str, Format]:
    """Forms by name, in order; ValueError if two have one name."""
    known: dict[str, Format] = {}
    for info in pkgutil.iter_modules(importlib.import_module(FOLDER).__path__, FOLDER + "."):
        form = importlib.import_module(info.name).FORMAT
        if form.name in known:
            raise ValueError(f"two forms of a report are named {form.name}")
        known[form.name] = form
    return dict(sorted(known.items()))


def format_of(name: str) -> Format:
    """The form of a name. UsageError lists those that there are."""
    known = formats()
    if name not in known:
        raise UsageError(f"--format {name!r}: there are {', '.join(known)}")
    return known[name]


def findings_of(case: CaseTables, options: Options) -> list[dict[str, Any]]:
    """The case's findings that were asked for, the worst first. CaseError if it has none."""
    if "findings" not in case.tables:
        raise CaseError(
            f"{case.folder} has no findings: an earlier memir wrote it, or a hunt alone; "
            f"`memir analyze IMAGE -o {case.folder} --force` makes them"
        )
    rows: list[dict[str, Any]] = case["findings"].to_pylist()
    return [row for row in rows if options.severity is None or at_least(row["severity"], options.severity)]
