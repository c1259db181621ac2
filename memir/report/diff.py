# SPDX-License-Identifier: Apache-2.0
"""What differs between two cases, as a person reads it in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from memir.case.diff import Diff, Difference
from memir.findings.finding import short
from memir.report.cells import time_words

_MARKS = {"new": "+", "gone": "-", "changed": "~"}
_MOST = 25
"""Lines of one kind and state; the rest is counted, and in the JSON."""


def diff_lines(result: Diff) -> Iterator[str]:
    """The images' facts that differ, then kind by kind what is new (+), gone (-) and changed (~)."""
    for name, (old, new) in result.facts.items():
        before, after = _fact(name, old), _fact(name, new)
        yield f"{name:<14}{before}" if before == after else f"{name:<14}{before} -> {after}"
    yield from (f"note          {words}" for words in result.notes)
    yield ""
    counts = Counter((each.kind, each.state) for each in result.differences)
    same = [kind for kind in result.compared if not any(counts[kind, state] for state in _MARKS)]
    for kind in result.compared:
        if kind in same:
            continue
        words = ", ".join(f"{counts[kind, state]:,} {state}" for state in _MARKS if counts[kind, state])
        yield f"{kind}: {words}"
        for state, mark in _MARKS.items():
            members = [each for each in result.differences if (each.kind, each.state) == (kind, state)]
            for each in members[:_MOST]:
                yield f"  {mark} {_thing(each)}"
            if len(members) > _MOST:
                yield f"  {mark} ... and {len(members) - _MOST:,} more"
        yield ""
    if same:
        yield f"No difference: {', '.join(same)}"
    for kind, why in result.lacking.items():
        yield f"Not compared: {kind}, {why}"


def _fact(name: str, value: Any) -> str:
    if name == "taken" and value:
        return time_words(value)
    return f"{value:.1%}".replace("%", " %") if name == "share of RAM" and value is not None else _word(value)


def _thing(each: Difference) -> str:
    key = dict(each.key)
    place = "/".join(str(key.pop(name)) for name in ("namespace", "workload", "container") if name in key)
    words = " ".join(f"{short(value)}" for value in key.values())
    times = f" ({each.count[1] or each.count[0]} times)" if max(each.count) > 1 and each.state != "changed" else ""
    values = _changes(each.old, each.new) if each.state == "changed" else values_line(each.new or each.old)
    return f"{place or 'the node'}{': ' if words else ''}{words}{times}{f' [{values}]' if values else ''}"


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}: {_word(old.get(name))} -> {_word(new.get(name))}" for name in new)


def values_line(values: Mapping[str, Any]) -> str:
    """Values by column in a line: `image nginx:1; privileged true`; what is not known or false is left out."""
    return "; ".join(f"{name} {_word(value)}" for name, value in values.items() if value not in (None, "false"))


def _word(value: Any) -> str:
    if value is None:
        return "not known"
    return short(", ".join(map(str, value)) if isinstance(value, list) else value)
