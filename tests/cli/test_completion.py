# SPDX-License-Identifier: Apache-2.0
"""Shell completion: what bash, zsh and fish are told, and a real bash that completes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memir.cli.main import VERBS

PROGRAM = [sys.executable, "-m", "memir"]


def asked(**environ: str) -> str:
    ran = subprocess.run(
        PROGRAM, env={**os.environ, **environ}, capture_output=True, text=True, check=True, timeout=120
    )  # fmt: skip
    return ran.stdout


@pytest.mark.parametrize(
    ("words", "at", "answers"),
    [
        ("memir ", "1", list(VERBS)),
        ("memir a", "1", ["acquire", "analyze", "ask"]),
        ("memir analyze --cl", "2", ["--cluster"]),
        ("memir acquire s", "2", ["ssh", "ssm"]),
    ],
)
def test_bash(words: str, at: str, answers: list[str]) -> None:
    out = asked(_MEMIR_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=at)
    assert sorted(out.split()) == sorted(answers)


def test_fish_and_zsh_have_the_help_too() -> None:
    fish = asked(
        _MEMIR_COMPLETE="complete_fish", _TYPER_COMPLETE_FISH_ACTION="get-args", _TYPER_COMPLETE_ARGS="memir que"
    )
    assert fish.split("\t")[0] == "query" and VERBS["query"].help[:20] in fish
    zsh = asked(_MEMIR_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="memir que")
    assert '"query":"Ask a case' in zsh


def test_a_real_bash_completes(tmp_path: Path) -> None:
    program = tmp_path / "memir"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m memir "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(memir --show-completion)"; COMP_WORDS=(memir que); COMP_CWORD=1; _memir_completion memir; '
        'echo "${COMPREPLY[@]}"; complete -p memir'
    )
    ran = subprocess.run(
        ["bash", "--norc", "-c", script], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert ran.stdout.splitlines()[0] == "query"
    assert ran.stdout.splitlines()[1].endswith("-F _memir_completion memir")


def test_what_completes_a_verb_imports_none() -> None:
    code = (
        "import os, sys\nsys.argv = ['memir']\n"
        "os.environ |= {'_MEMIR_COMPLETE': 'complete_bash', 'COMP_WORDS': 'memir a', 'COMP_CWORD': '1'}\n"
        "from memir.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name in ('numpy', 'pyarrow', 'memir.cli.analyze')))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout
    assert out.splitlines()[-1] == "[]"
