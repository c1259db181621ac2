# SPDX-License-Identifier: Apache-2.0
"""Rules that say where secrets may be: they compile, and find known values as bytes."""

from __future__ import annotations

import yara

from memir.hunt.secret_rules import LONGEST, MOST, SHORTEST, rules_text


def matched(text: str, data: bytes) -> set[str]:
    found = yara.compile(source=text).match(data=data)
    return {string.identifier for match in found for string in match.strings if match.rule == "Known"}


def test_known_values() -> None:
    values = {"a": "correct-horse-battery", "b": 'with "quotes" } and \\ é', "c": "x" * (SHORTEST - 1), "d": "y" * 9000}
    text, names = rules_text(values)
    assert sorted(names.values()) == ["a", "b", "d"]
    named = {fingerprint: name for name, fingerprint in names.items()}
    assert matched(text, b"..." + values["a"].encode()) == {named["a"]}
    assert matched(text, values["b"].encode() + b"\0") == {named["b"]}
    assert matched(text, b"y" * LONGEST) == {named["d"]}
    assert matched(text, b"nothing of these") == set()


def test_bounds() -> None:
    assert rules_text({})[1] == {} and len(yara.compile(source=rules_text({})[0]).match(data=b"")) == 0
    many = {str(number): f"value-{number:012}" for number in range(MOST + 5)}
    assert len(rules_text(many)[1]) == MOST
