# SPDX-License-Identifier: Apache-2.0
"""Each verb's help ends with an example that its own parser takes; `memir` alone says where to start."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from memir.cli.examples import EXAMPLES, START, epilog
from memir.cli.main import VERBS, app
from tests.cli.conftest import Memir


def every() -> Iterator[tuple[str, Any]]:
    group: Any = get_command(app)
    for name in VERBS:
        command = group.get_command(None, name)
        yield name, command
        for inner, below in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", below


def test_every_verb_has_examples_and_shows_them() -> None:
    found = dict(every())
    assert sorted(found) == sorted(EXAMPLES)
    assert {name for name, command in found.items() if command.epilog != epilog(name)} == set()


def test_epilog_is_as_it_is_shown() -> None:
    assert epilog("info") == "\b\nExample:\n  memir info node.lime"
    assert epilog("verify").startswith("\b\nExamples:\n")


@pytest.mark.parametrize("line", sorted({line for lines in EXAMPLES.values() for line in lines}))
def test_examples_are_taken_by_the_parser(line: str) -> None:
    assert len(line) <= 96
    words = shlex.split(line)
    if words[0] != "memir":
        return
    command: Any = get_command(app).get_command(None, words[1])  # type: ignore[attr-defined]  # a group
    words = words[2:]
    while getattr(command, "commands", None):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)


def test_memir_alone_says_where_to_start(memir: Memir) -> None:
    ran = memir()
    shown = ran.out + ran.err
    assert "Where to start:\n" in shown
    for line in START.splitlines()[2:-2]:
        assert line.strip() in shown


@pytest.mark.parametrize("columns", ["60", "200"])
def test_help_fits_and_is_whole(columns: str, memir: Memir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = memir("--help").out
    assert all(verb in out for verb in VERBS)
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "\x1b" not in out
