# SPDX-License-Identifier: Apache-2.0
"""What is told of rules from their text alone."""

from __future__ import annotations

import pytest
import yara
from hypothesis import given
from hypothesis import strategies as st

from memir.hunt.rule_text import monotone, read_source, tokens

STRINGS = 'strings: $a = "x" $b = { 41 [2-4] (42|43) ?? } $c = /a\\/b{2}[^\\/"{}]+/i'


def one(condition: str, strings: str = STRINGS) -> bool:
    text = f"rule R {{ {strings} condition: {condition} }}"
    if "other" not in condition:
        yara.compile(source=f"rule R {{ {strings} condition: ({condition}) and any of them }}")
    return monotone(read_source(text))


@pytest.mark.parametrize(
    "condition",
    [
        "$a",
        "any of them",
        "all of them",
        "2 of ($a, $b)",
        "$a and ($b or $c)",
        "#a > 3",
        "#a >= 1 and 2 of them",
        "true",
    ],
)
def test_monotone(condition: str) -> None:
    assert one(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "not $a", "none of them", "0 of them", "#a < 3", "#a == 1", "$a at 0", "$a in (0..100)", "@a[1] < 5",
        "!a[1] > 2",        "filesize > 10 and $a", "uint32(0) == 0x464c457f", "for any i in (1..3) : (@a[i] > 2)",
        "$a and 1 == 1", "#a != 2",        "any of them in (0..9)",
    ],
)  # fmt: skip
def test_not_monotone(condition: str) -> None:
    assert not one(condition)


def test_strings_that_ask_where_they_are_or_reach_far() -> None:
    assert not one("$a", "strings: $a = /^start/")
    assert not one("$a", "strings: $a = /end$/")
    assert one("$a", "strings: $a = /[^x]\\$\\^/")
    assert not one("$a", "strings: $a = { 41 [5000-6000] 42 }")


def test_rules_that_ask_for_other_rules() -> None:
    assert monotone(read_source('rule A { strings: $a="x" condition: $a } rule B { condition: A }'))
    assert not monotone(read_source('rule A { strings: $a="x" condition: not $a } rule B { condition: A }'))
    assert not monotone(read_source("rule B { condition: other }"))


def test_places_imports_and_includes() -> None:
    text = (
        'import "pe" // not "elf"\n/* rule No { condition: true } */\ninclude "x.yar"\n'
        'private rule One : t1 t2\n{\n meta: a = "}" strings: $a = "{ rule Two" condition: $a }\n'
        "global rule Two { condition: true }"
    )
    found = read_source(text)
    assert [(rule.name, rule.line) for rule in found.rules] == [("One", 4), ("Two", 7)]
    assert found.imports == (("pe", 1),)
    assert found.includes == (("x.yar", 3),)
    start, end = found.rules[0].body
    assert text[start] == "{" and text[end] == "}" and text[:end].endswith("condition: $a ")


@pytest.mark.parametrize(
    "text", ["", "rule", "rule X", "rule X {", "rule X { strings: $a = ", '"', "/*", "rule X { condition: /", "}" * 9]
)
def test_broken_text_is_read_as_far_as_it_goes(text: str) -> None:
    assert read_source(text).rules == ()


def test_tokens() -> None:
    text = 'rule R { strings: $a = /x\\/}/i $b = { 41 } condition: #a >= 2 and 4 / 2 == 2KB // "no"\n}'
    assert [(token.kind, token.text) for token in tokens(text)] == [
        ("word", "rule"), ("word", "R"), ("sign", "{"), ("word", "strings"), ("sign", ":"),
        ("name", "$a"), ("sign", "="), ("regex", "/x\\/}/i"), ("name", "$b"), ("sign", "="), ("hex", "{ 41 }"),
        ("word", "condition"), ("sign", ":"), ("count", "#a"), ("sign", ">="), ("number", "2"), ("word", "and"),
        ("number", "4"), ("sign", "/"), ("number", "2"), ("sign", "=="), ("number", "2KB"), ("sign", "}"),
    ]  # fmt: skip


@given(st.text(alphabet='rule {}"/\\*$#=:[](ax1\n', max_size=60))
def test_tokens_are_pieces_of_the_text_in_order(text: str) -> None:
    end = 0
    for token in tokens(text):
        assert token.offset >= end
        assert text.startswith(token.text, token.offset)
        end = token.offset + len(token.text)
    assert len(read_source(text).rules) <= text.count("rule")
