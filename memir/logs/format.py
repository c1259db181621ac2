# SPDX-License-Identifier: Apache-2.0
"""What a format of a log is: SQL that takes the lines that are its own, and gives their columns.

A format is recognised by what a line says, never by the name of a file: its SQL has a `where` that only its own lines
pass. It is asked over the relation `lines` (row int64, number int64, text string), whose text may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Format:
    """table: whose rows its lines are. words: what it is, for people.

    sql: given the first line of a file, a select over `lines` with `row` and the table's own columns, but for `log`,
    `line` and `source`; None where that first line says that the file is none of it. skip: a column of the select that
    is no column of the table and true for rows that are left out and counted, and why they are.
    """

    table: str
    words: str
    sql: Callable[[str], str | None]
    skip: tuple[str, str] | None = None


@dataclass(frozen=True)
class JsonFields:
    """Columns of JSON lines: each one a path, read in one pass over the text.

    paths: by column, JSON paths ($.user.username). cast: SQL over a column's text, by column, `{}` where the text goes:
    the text itself where there is none. where: SQL over the columns, whose lines are of this format.
    """

    paths: Mapping[str, str]
    where: str
    cast: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()

    def sql(self, _first: str = "") -> str:
        """The select. A line that is no JSON has no columns, and passes no `where`."""
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in self.paths.values())
        texts = ", ".join(f'v[{number}] as "{name}"' for number, name in enumerate(self.paths, 1))
        chosen = ", ".join(
            f"{self.cast[name].format(quoted(name))} as {quoted(name)}" if name in self.cast else quoted(name)
            for name in (*self.paths, *(name for name in self.cast if name not in self.paths))
            if name not in self.drop
        )
        return (
            f"with read as materialized (select row, try(json_extract_string(text, [{listed}])) as v from lines), "
            f"texts as (select row, {texts} from read where v is not null) "
            f"select row, {chosen} from texts where {self.where}"
        )


def quoted(name: str) -> str:
    """A column's name as SQL takes it, whatever word it is."""
    return f'"{name}"'


TIME = "try_cast({} as timestamptz)"
"""RFC 3339 with its zone, in UTC; without one it is taken for UTC."""
INT32 = "try_cast({} as integer)"
INT64 = "try_cast({} as bigint)"
FLOAT = "try_cast({} as double)"
BOOL = "try_cast({} as boolean)"
STRINGS = "try(from_json({}, '[\"VARCHAR\"]'))"
