# SPDX-License-Identifier: Apache-2.0
"""Rule files are read once, with what they include, and each line keeps its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import RulesError
from memir.hunt.rule_files import Flat, RuleFile, read_file, read_rule_files

ONE = "rule One { condition: true }"


def flat(path: Path) -> list[Flat]:
    return [file for file in read_rule_files([path]) if isinstance(file, Flat)]


def test_includes_are_put_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep.yar").write_text("// deep\n" + ONE)
    (tmp_path / "sub" / "mid.yar").write_text('include "deep.yar"\nrule Mid { condition: One }\n')
    (tmp_path / "top.yar").write_text(
        '// include "no.yar"\ninclude "sub/mid.yar" include "sub/deep.yar"\n\nrule Top { condition: Mid }'
    )
    (top,) = flat(tmp_path)  # what it includes is not there a second time
    places = {rule.name: top.place(rule.line) for rule in top.source.rules}
    assert places == {
        "One": f"{tmp_path}/sub/deep.yar:2", "Mid": f"{tmp_path}/sub/mid.yar:2", "Top": f"{tmp_path}/top.yar:4",
    }  # fmt: skip
    assert top.text.count("\n") + 1 == len(top.lines) and not top.faults
    assert top.place(10_000).startswith(f"{tmp_path}/top.yar")


def test_includes_that_go_round_or_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_text('include "b.yar"\nrule A { condition: true }')
    (tmp_path / "b.yar").write_text('include "a.yar"\nrule B { condition: true }')
    (tmp_path / "c.yar").write_text('\ninclude "none.yar"\n' + ONE)
    files = flat(tmp_path)
    assert {rule.name for file in files for rule in file.source.rules} == {"A", "B", "One"}
    assert [fault for file in files for fault in file.faults] == [
        f'{tmp_path}/c.yar:2: includes "none.yar", which is not there'
    ]


def test_names_of_equal_files(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "r.yar").write_text(ONE)
    assert [file.file.namespace for file in flat(tmp_path)] == ["x/r.yar", "y/r.yar"]
    every = read_rule_files([tmp_path / "x" / "r.yar", tmp_path / "y" / "r.yar"])
    names = [file.file.namespace for file in every if isinstance(file, Flat)]
    assert names == [f"{tmp_path}/x/r.yar", f"{tmp_path}/y/r.yar"]


def test_compiled_rules_and_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "c.yarc").write_bytes(b"YARA\x00\x01")
    assert isinstance(read_rule_files([tmp_path])[0], RuleFile) and read_file(tmp_path / "c.yarc", "c").text is None
    assert read_file(Path(__file__).parent / "data" / "bom.yar", "bom").source.rules[0].name == "bom"
    with pytest.raises(RulesError, match="no such file or folder"):
        read_rule_files([tmp_path / "none"])
    (tmp_path / "c.yarc").unlink()
    with pytest.raises(RulesError, match="no rule files"):
        read_rule_files([tmp_path])


def test_what_is_no_text_of_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image in the place of the rules is told at once, and a device is not read to its end."""
    (tmp_path / "node.raw").write_bytes(b"S\xff\0\xf0" * 1000)
    with pytest.raises(RulesError, match=r"node\.raw: not YARA rules: byte 2 is zero"):
        read_file(tmp_path / "node.raw", "node.raw")
    monkeypatch.setattr("memir.hunt.rule_files.MAX_FILE", 1 << 20)
    with pytest.raises(RulesError, match="/dev/zero: more than 1 MiB: no rule file is as long"):
        read_file(Path("/dev/zero"), "zero")
