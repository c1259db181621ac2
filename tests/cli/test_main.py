# SPDX-License-Identifier: Apache-2.0
"""The list of verbs in `memir --help` is the list of verbs that there are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from memir.cli.main import VERBS, app, invoke
from memir.errors import UsageError
from tests.images import cache, case


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_asked_for_help(verb: str) -> None:
    group = get_command(app)
    found = group.get_command(None, verb)  # type: ignore[attr-defined]  # a group
    assert found is not None
    assert found.name == verb


@pytest.mark.parametrize("verb", ["acquire", "collect", "tools"])
def test_what_a_verb_lists_is_wrapped_and_never_cut(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    group = get_command(app).get_command(None, verb)  # type: ignore[attr-defined]  # a group
    monkeypatch.setenv("COLUMNS", "60")
    text = group.get_help(typer.Context(group, info_name=f"memir {verb}", terminal_width=60))
    listed = text.split("Commands:\n")[1].split("\n\n")[0]
    assert max(map(len, listed.splitlines())) <= 60 and "..." not in listed
    words = " ".join(listed.split())
    for name, command in group.commands.items():
        first = " ".join((command.help or "").split("\n\n")[0].split())
        assert f"{name} {first}" in words


def test_help_lists_the_verbs_and_imports_none_of_them() -> None:
    code = (
        "import sys; sys.argv = ['memir', '--help']\n"
        "from memir.cli.main import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('numpy', 'rich', 'boto3', 'pyarrow') "
        "or name.startswith('memir.cli.') and name[10:] not in ('main', 'handler', 'examples')))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    listed, imported = out.rsplit("\n", 2)[:2]
    assert [
        line.split()[0]
        for line in listed.split("Commands:\n")[1].split("Where to start:\n")[0].splitlines()
        if line.startswith("  ") and line.strip() and line[2] != " "
    ] == list(VERBS)
    assert imported == "[]"


def test_no_verb_waits_for_pandas_and_a_caller_still_has_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['memir', 'analyze', *sys.argv[1:], '--tables', 'pods']\n"
        "from memir.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code)\n"
        "print('pyarrow' in sys.modules, 'pandas' in sys.modules)\n"
        "import pyarrow; print(pyarrow.table({'pid': [1]}).to_pandas()['pid'].tolist())"
    )
    words = [str(case("s-5.10-small-v1").image), "-o", str(tmp_path), "--cache", str(cache())]
    out = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-3:] == ["0", "True False", "[1]"]


def test_invoke_raises_what_a_verb_raises() -> None:
    with pytest.raises(UsageError, match="one question: SQL"):
        invoke(["query", "case"])
    with pytest.raises(typer.Exit) as ended:
        invoke(["--version"])
    assert ended.value.exit_code == 0


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["info", ""], "behind 'info'"),
        (["hunt", "image", ""], "behind 'image'"),
        (["query", "", "select 1"], "behind 'query'"),
        (["analyze", "image", "-o", ""], "behind '-o'"),
        (["query", "case", "--schema", ""], "behind '--schema'"),
        ([""], "of memir"),
    ],
)
def test_an_empty_word_is_not_the_current_folder(words: list[str], where: str) -> None:
    with pytest.raises(UsageError, match=f"the argument {where} is empty: is a variable not set"):
        invoke(words)
