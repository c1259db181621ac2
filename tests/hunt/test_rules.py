# SPDX-License-Identifier: Apache-2.0
"""Rules compile, all of them, or every fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yara

from memir.errors import RulesError, UsageError
from memir.hunt.rules import STARTER, Packed, RuleSet, load_rules, parse_externals

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
    assert found.monotone  # what is included is judged with it
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
    assert found.names == (("a.yar", "Inner"), ("a.yar", "A"), ("a.yar", "B"))
    left = found.without([("a.yar", "A")])
    assert [match.rule for match in left.match(data=b"x")] == ["Inner"]


DATA = Path(__file__).parent / "data"


def names(found: RuleSet, data: bytes, **externals: str) -> list[str]:
    return sorted(match.rule for rules in found.sets for match in rules.match(data=data, externals=externals))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_fault(tmp_path: Path, encoding: str) -> None:
    assert names(load_rules([DATA / "bom.yar"]), b"stratum+tcp") == ["bom"]
    (tmp_path / "w.yar").write_text(GOOD, encoding=encoding)
    assert names(load_rules([tmp_path]), b"abc") == ["Good"]


def test_bytes_that_are_no_utf8_mean_themselves(tmp_path: Path) -> None:
    (tmp_path / "latin.yar").write_bytes(b'// caf\xe9\nrule L { strings: $a = "caf\xe9" condition: $a }')
    assert names(load_rules([tmp_path]), b"caf\xe9") == ["L"] and names(load_rules([tmp_path]), "café".encode()) == []


def test_a_rule_of_another_file(tmp_path: Path) -> None:
    found = load_rules([DATA / "xref"])
    assert names(found, b"stratum+tcp") == ["base", "uses"] and found.count == 2 and found.monotone
    assert {rule: found.file_of(space, rule) for space, rule in found.names} == {"base": "a.yar", "uses": "b.yar"}
    (tmp_path / "0first.yar").write_text("rule Top { condition: Middle and Good }")
    (tmp_path / "1middle.yar").write_text("rule Middle { condition: Good }")
    (tmp_path / "2base.yar").write_text(GOOD)
    (tmp_path / "3other.yar").write_text(GOOD)  # an equal name in a file that nobody needs
    found = load_rules([tmp_path])
    assert names(found, b"abc") == ["Good", "Good", "Middle", "Top"]
    assert {found.file_of(*name) for name in found.names} == {
        f"{name}.yar" for name in ("0first", "1middle", "2base", "3other")
    }


def test_faulty_rules_left_out_are_told() -> None:
    with pytest.raises(RulesError) as caught:
        load_rules([DATA / "mixed"])
    assert 'bad.yar:1: undefined string "$b"' in str(caught.value) and "cuckoo.yar:1: imports" in str(caught.value)
    found = load_rules([DATA / "mixed"], skip_bad=True)
    assert names(found, b"stratum+tcp x") == ["k3", "okrule"] and found.count == 2
    assert [fault.partition(": ")[0].rpartition("/")[2] for fault in found.skipped] == ["bad.yar:1", "cuckoo.yar:1"]


def test_faults_of_included_files_are_told_once_and_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "common.yar").write_text('import "nosuch"\nrule C { condition: true }\nrule D { condition: $x }')
    for name in ("a", "b"):
        (tmp_path / f"{name}.yar").write_text(f'include "common.yar"\nrule R{name} {{ condition: D }}')
    with pytest.raises(RulesError) as caught:
        load_rules([tmp_path])
    lines = str(caught.value).splitlines()[1:]
    assert sorted(line.strip().partition(": ")[0].rpartition("/")[2] for line in lines) == [
        "a.yar:2", "b.yar:2", "common.yar:1", "common.yar:3",
    ]  # fmt: skip
    (tmp_path / "a.yar").write_text('include "none.yar"\n' + GOOD)
    (tmp_path / "b.yar").unlink()
    with pytest.raises(RulesError, match=r'a\.yar:1: includes "none.yar", which is not there'):
        load_rules([tmp_path / "a.yar"])
    assert load_rules([tmp_path / "a.yar"], skip_bad=True).count == 1


def test_variables_of_units_are_known(tmp_path: Path) -> None:
    found = load_rules([DATA / "ext.yar"])
    assert found.unit_externals == {"filename"} and not found.monotone
    assert names(found, b"stratum+tcp", filename="kworkerds") == ["ex"]
    assert names(found, b"stratum+tcp", filename="bash") == names(found, b"stratum+tcp") == []
    assert load_rules([DATA / "ext.yar"], {"filename": "x"}).unit_externals == frozenset()


def test_the_digest_tells_rules_apart_and_not_places(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "r.yar").write_text(GOOD)
    first = load_rules([tmp_path / "a"]).digest
    assert len(first) == 64 and load_rules([tmp_path / "b"]).digest == first
    assert load_rules([tmp_path / "a"], {"x": 1}).digest != first
    (tmp_path / "b" / "r.yar").write_text(GOOD + " ")
    assert load_rules([tmp_path / "b"]).digest != first
    assert Packed.of(load_rules([tmp_path / "a"])).unpack().digest == first


def test_starter_rules_compile() -> None:
    assert load_rules([STARTER]).count >= 15
