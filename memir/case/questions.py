# SPDX-License-Identifier: Apache-2.0
"""The questions of a responder, each one file in memir/case/ask/: SQL that answers it, or the commands that do.

A file begins with comments: the licence; the number, a full stop and the question; after `tables:` the tables that it
cannot do without; after `values:` what it asks for (with a ? behind it: or not); after `command:` a command each, which
is printed and never run; after `limits:` of what (`kernel`) the answer also says what nothing looked at. The rest is
SQL, in which $pid is the value, null where it was not given.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memir.case.query import Answer, ask, datasets
from memir.case.read_record import read_record
from memir.errors import CaseError, UsageError

FOLDER = Path(__file__).with_name("ask")
_MADE_BY = {
    "hits": "memir hunt IMAGE -o CASE",
    "sessions": "memir analyze IMAGE -o CASE --logs FILE --force",
    "audit": "memir analyze IMAGE -o CASE --logs FILE --force",
}
"""Commands that make tables which an analysis alone does not."""


@dataclass(frozen=True)
class Question:
    """name: of its file. tables, values, optional: what it needs or may be given; sql: "" where commands answer it."""

    number: int
    name: str
    text: str
    tables: tuple[str, ...]
    values: tuple[str, ...]
    optional: tuple[str, ...]
    commands: tuple[str, ...]
    limits: tuple[str, ...]
    sql: str


@functools.cache
def questions() -> dict[str, Question]:
    """Every question by name, in the order of their numbers. ValueError for a file that is none."""
    every = sorted((_parsed(path) for path in FOLDER.glob("*.sql")), key=lambda question: question.number)
    return {question.name: question for question in every}


def _parsed(path: Path) -> Question:
    head: dict[str, list[str]] = {"tables": [], "values": [], "command": [], "limits": []}
    lines = path.read_text(encoding="utf-8").splitlines()
    first = re.fullmatch(r"-- (\d+)\. (.+)", lines[1])
    if first is None:
        raise ValueError(f"{path}: the second line has no number and question")
    rest = 2
    for line in lines[2:]:
        match = re.fullmatch(r"-- (\w+): (.+)", line)
        if match is None:
            break
        head[match.group(1)] += [match.group(2)] if match.group(1) == "command" else match.group(2).split(", ")
        rest += 1
    needed = tuple(value for value in head["values"] if not value.endswith("?"))
    optional = tuple(value[:-1] for value in head["values"] if value.endswith("?"))
    return Question(int(first.group(1)), path.stem, first.group(2), tuple(head["tables"]), needed, optional,
                    tuple(head["command"]), tuple(head["limits"]), "\n".join(lines[rest:]).strip())  # fmt: skip


def question_of(name: str) -> Question:
    """A question by its name or number. UsageError names those that are near."""
    from difflib import get_close_matches

    known = questions()
    for question in known.values():
        if name in (question.name, str(question.number)):
            return question
    word = name.casefold()
    about = [each for each, question in known.items() if len(word) > 2 and word in f"{each} {question.text}".casefold()]
    near = list(dict.fromkeys([*get_close_matches(name, known, 3, 0.6), *about]))[:5]
    hint = f"do you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"there is no question {name!r}: {hint}`memir ask --list` has all")


def answer(folder: str | Path, question: Question, values: Mapping[str, str] | None = None) -> Answer:
    """What a case answers to a question that has SQL. values: by name, as the user wrote them.

    UsageError for a value that is missing or that it does not take; CaseError if the case lacks a table of it.
    """
    given = dict(values or {})
    known = (*question.values, *question.optional)
    for name in given:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise UsageError(f"{question.name} takes no value {name!r}: {takes}")
    missing = [name for name in question.values if name not in given]
    if missing:
        raise UsageError(f"{question.name} asks for a value: {' '.join(f'{name}=...' for name in missing)}")
    read_record(Path(folder))
    tables = datasets(Path(folder), reveal=False)
    absent = [name for name in question.tables if name not in tables]
    if absent:
        made = _MADE_BY.get(absent[0], "memir analyze IMAGE -o CASE --force")
        raise CaseError(f"{folder} has no table {' and '.join(absent)}: `{made}` makes it")
    sql = re.sub(r"\$([a-z]+)", lambda match: _literal(match.group(1), given.get(match.group(1))), question.sql)
    return ask({name: tables[name] for name in question.tables}, sql)


def _literal(name: str, value: str | None) -> str:
    """A value as SQL: a number, or text in quotes; nothing of it can be SQL."""
    if value is None:
        return "null"
    if name == "pid":
        if not re.fullmatch(r"\d{1,10}", value):
            raise UsageError(f"pid={value}: a pid is a number")
        return value
    return "'" + value.replace("'", "''") + "'"
