# SPDX-License-Identifier: Apache-2.0
"""Files that need each other compile together; what does not compile is found, all of it."""

from __future__ import annotations

from pathlib import Path

import yara

from memir.hunt.rule_compile import Namespace, compiles, empty, namespaces, sound
from memir.hunt.rule_files import Flat, read_rule_files
from memir.hunt.rule_text import read_source


def flat(folder: Path, **texts: str) -> list[Flat]:
    for name, text in texts.items():
        (folder / f"{name}.yar").write_text(text)
    return [file for file in read_rule_files([folder]) if isinstance(file, Flat)]


def test_only_files_that_need_each_other_share_a_namespace(tmp_path: Path) -> None:
    files = flat(
        tmp_path,
        a="rule A { condition: B }", b="rule B { condition: true }", c="rule C { condition: true }",
        d="rule A { condition: C }",
    )  # fmt: skip
    spaces = namespaces(files, {})
    assert [[file.file.namespace for file in space.files] for space in spaces] == [
        ["b.yar", "a.yar"],
        ["c.yar", "d.yar"],
    ]
    assert spaces[0].file_of == {"A": "a.yar", "B": "b.yar"} and spaces[0].name == "b.yar"
    assert compiles({space.name: space.text for space in spaces}, {})
    assert spaces[0].place(2) == f"{tmp_path}/a.yar:1"


def test_a_variable_is_no_rule(tmp_path: Path) -> None:
    files = flat(tmp_path, a="rule A { condition: B }", b="rule B { condition: true }")
    assert len(namespaces(files, {"B": True})) == 2


def test_faults_and_what_depends_on_them(tmp_path: Path) -> None:
    (file,) = flat(
        tmp_path,
        a='import "nosuch"\nrule Bad { condition: $x }\nrule Uses { condition: Bad }\n'
        "rule M { condition: nosuch.f() }\n"
        "rule Good { condition: true }",
    )
    result = sound(Namespace.of([file]), {})
    assert result.space is not None and result.emptied == 2
    assert [match.rule for match in yara.compile(source=result.space.text).match(data=b"x")] == ["Good"]
    assert [fault.partition(": ")[0] for fault in result.faults] == [f"{file.file.path}:{line}" for line in (1, 2, 3)]
    assert "rule Uses names Bad, which cannot match" in result.faults[2]


def test_a_file_that_is_no_rules(tmp_path: Path) -> None:
    (file,) = flat(tmp_path, a="this is not a rule file")
    result = sound(Namespace.of([file]), {})
    assert result.space is None and result.faults[0].startswith(f"{file.file.path}:1: ")


def test_emptied_rules_keep_their_lines() -> None:
    text = "rule A {\n condition:\n true\n}\nrule B { condition: true }"
    left = empty(text, read_source(text).rules[:1])
    assert left.count("\n") == text.count("\n") and read_source(left).rules[1].line == 5
    assert [match.rule for match in yara.compile(source=left).match(data=b"x")] == ["B"]
