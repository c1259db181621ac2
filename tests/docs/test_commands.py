# SPDX-License-Identifier: Apache-2.0
"""Every command in a block of the documentation is run and prints what its page shows, or says `not run` and why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Memir, memir  # noqa: F401  (a fixture)
from tests.docs.commands import Command, by_shell, commands, pages, place, same, words
from tests.images import ROOT, cache

PAGES = [page for page in pages() if any(command.run for command in commands(page))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_does_what_the_page_says(
    page: Path, tmp_path: Path, memir: Memir, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    monkeypatch.setenv("MEMIR_CACHE", str(cache()))
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.chdir(tmp_path)
    place(page, tmp_path)
    wrong = []
    for command in commands(page):
        if not command.run:
            continue
        own = words(command)
        if own is None:
            code, printed = by_shell(command, tmp_path)
        else:
            ran = memir(*own)
            code, printed = ran.code, ran.out if ran.code == command.code else ran.out + ran.err
        where = f"{command.page}:{command.line} {command.text}"
        if code != command.code:
            wrong.append(f"{where}: exit code {code}: {printed[-500:]}")
        elif command.shown is not None and (difference := same(command.shown, printed)):
            wrong.append(f"{where}: {difference}")
    assert not wrong, "\n".join(wrong)
    shutil.rmtree(tmp_path / "case", ignore_errors=True)


def test_what_is_not_run_is_little_enough_to_be_read() -> None:
    every = [command for page in pages() for command in commands(page)]
    assert len([command for command in every if command.run]) > 80
    assert len([command for command in every if command.shown is not None and command.run]) > 15


BLOCKS = """
On this page `node.lime` is `samples/a.raw.zst`.

    memir info node.lime      # what is it?
    memir acquire ssh x       # not run: a node
    prose in a block

```sh
memir query case \\
  "select 1"              # exit code 3
```

```
$ memir info node.lime
Kernel 6.1
...
```

```sh
# not run: an account of yours
aws s3 ls
```
"""


def test_commands_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.docs.commands.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(BLOCKS)
    found = [(each.line, each.text, each.shown, each.run, each.code) for each in commands(page)]
    assert found == [
        (4, "memir info node.lime", None, True, 0),
        (5, "memir acquire ssh x", None, False, 0),
        (10, 'memir query case "select 1"', None, True, 3),
        (14, "memir info node.lime", ("Kernel 6.1", "..."), True, 0),
        (21, "aws s3 ls", None, False, 0),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "fine"),
    [
        (("a", "b"), "a\nb\n", True),
        (("a", "...", "d"), "a\nb\nc\nd\n", True),
        (("a", "..."), "a\n", True),
        (("a",), "a\nb\n", False),
        (("a", "...", "d"), "a\nd\ne\n", False),
        (("...", "b"), "a\n", False),
        ((f"x {'0' * 64}",), f"x {'1' * 64}\n", True),
    ],
)
def test_output_is_compared(shown: tuple[str, ...], printed: str, fine: bool) -> None:
    assert (same(shown, printed) is None) == fine


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("memir query case 'select a|b'", ["query", "case", "select a|b"]),
        (".venv/bin/memir info x", ["info", "x"]),
        ("memir timeline case | head", None),
        ('vol -p "$(memir plugins-path)"', None),
    ],
)
def test_what_memir_itself_is_asked(text: str, own: list[str] | None) -> None:
    assert words(Command("p", 1, text, None, True, 0)) == own
