# SPDX-License-Identifier: Apache-2.0
"""A kind of event of a timeline: which rows of a table it is, in SQL."""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS = ("time", "kind", "text", "namespace", "pod_name", "container_name", "source", "key")


@dataclass(frozen=True)
class Event:
    """A kind of event. table: where it comes from; time, text, key: SQL over its row; where: the rows that have one.

    words: Plaso's for such a time. key: a condition that gives the row back: `select * from TABLE where KEY`.
    quiet: listed only where its kind is asked for. order: SQL over the row, the number in its log: orders what has one
    time.
    """

    kind: str
    table: str
    time: str
    text: str
    key: str
    words: str
    where: str = "true"
    quiet: bool = False
    order: str = "null"

    def select(self) -> str:
        """One select with COLUMNS, plus the pod's UID and the number in a log."""
        return (
            f"select {quoted(self.time)} as time, '{self.kind}' as kind, {self.text} as text, namespace, pod_name, "
            f"container_name, '{self.table}' as source, {self.key} as key, pod_uid, "
            f"cast({self.order} as bigint) as sequence_ from {self.table} "
            f"where {quoted(self.time)} is not null and ({self.where})"
        )


def same(column: str) -> str:
    """SQL that makes the condition `column = 'text'`, or `column is null`, of a row's text."""
    quote = "''''"
    value = f"'= ' || {quote} || replace({column}, {quote}, {quote} || {quote}) || {quote}"
    return f"'{column} ' || coalesce({value}, 'is null')"


def quoted(column: str) -> str:
    """A column's name as SQL, in quotes where SQL has the word for itself."""
    return f'"{column}"' if column == "end" else column
