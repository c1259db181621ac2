# SPDX-License-Identifier: Apache-2.0
"""Rules compile, all of them, or every fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yara

from memir.errors import RulesError, UsageError
from memir.hunt.rules import load_rules, parse_externals

GOOD = 'rule Good { strings: $a = "abc" condition: $a }'


def test_every_fault_is_told_with_file_line_and_reason(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yar"
    bad.write_text(
        'rule First { strings: $a = "x" condition: $b }\nrule Fine { condition: true }\n'
        "\nrule Second { condition: nosuch == 1 }\n"
        "rule Third { strings: $r = /(/ condition: $r }\n"
    )
    other = tmp_path / "other.yara"
    other.write_text(GOOD + "\nrule Good { condition: true }")
    with pytest.raises(RulesError) as caught:
        load_rules([tmp_path])
    said = str(caught.value)
    for line, reason in ((1, "$b"), (4, "nosuch"), (5, "regular expression")):
        assert any(f"{bad}:{line}: " in one and reason in one for one in said.splitlines()), said
    assert f"{other}:2: " in said and "duplicated" in said
    assert "--external nosuch=VALUE" in said


def test_modules_that_this_yara_lacks(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_text('import "elf"\nimport "nosuchmodule"\n' + GOOD)
    with pytest.raises(RulesError, match=r"a\.yar:2: imports module 'nosuchmodule', which this YARA lacks"):
        load_rules([tmp_path])


def test_folders_includes_and_equal_names(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    (deep / "one.yar").write_text(GOOD)
    (tmp_path / "two.yar").write_text(GOOD)
    (tmp_path / "index.yar").write_text('include "deep/one.yar"\nrule Index { condition: Good }')
    (tmp_path / "README.md").write_text("not rules")
    found = load_rules([tmp_path])
    assert found.count == 3  # deep/one.yar is compiled with the index, not a second time
    assert not found.monotone  # what is included has not been judged
    (tmp_path / "index.yar").unlink()
    found = load_rules([tmp_path])
    assert found.count == 2 and found.monotone
    assert found.notes == ("rule Good is defined 2 times: deep/one.yar:1, two.yar:1",)
    assert load_rules([tmp_path, deep / "one.yar"]).count == 2  # given twice, compiled once


def test_compiled_rules_and_externals(tmp_path: Path) -> None:
    yara.compile(source="rule E { condition: wanted == 7 }", externals={"wanted": 0}).save(str(tmp_path / "c.yarc"))
    (tmp_path / "s.yar").write_text("rule S { condition: wanted == 7 }")
    found = load_rules([tmp_path], parse_externals(["wanted=7"]))
    assert found.count == 2 and len(found.sets) == 2 and not found.monotone
    hits = [match.rule for rules in found.sets for match in rules.match(data=b"x", externals=dict(found.externals))]
    assert sorted(hits) == ["E", "S"]
    (tmp_path / "c.yarc").write_bytes(b"YARA" + bytes(100))
    with pytest.raises(RulesError, match=r"c\.yarc: compiled rules that this YARA .* cannot load"):
        load_rules([tmp_path], {"wanted": 7})


def test_externals_are_typed() -> None:
    found = parse_externals(["a=true", "b=-3", "c=1.5", "d=x=y", "e="])
    assert found == {"a": True, "b": -3, "c": 1.5, "d": "x=y", "e": ""}
    for bad in ("novalue", "1a=2", "=3"):
        with pytest.raises(UsageError):
            parse_externals([bad])


def test_nothing_to_compile(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yar"):
        with pytest.raises(RulesError):
            load_rules([path])
    (tmp_path / "empty.yar").write_text("// nothing\n")
    with pytest.raises(RulesError, match="no rules"):
        load_rules([tmp_path])


def test_rules_without_some(tmp_path: Path) -> None:
    (tmp_path / "inc.yar").write_text("rule Inner { condition: true }")
    (tmp_path / "a.yar").write_text('include "inc.yar"\nrule A { condition: true }\nrule B { condition: A and Inner }')
    found = load_rules([tmp_path / "a.yar"])
    assert found.names == (("a.yar", "A"), ("a.yar", "B"))
    left = found.without([("a.yar", "A")])
    assert [match.rule for match in left.match(data=b"x")] == ["Inner"]
