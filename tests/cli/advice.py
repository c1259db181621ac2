# SPDX-License-Identifier: Apache-2.0
"""Next steps that memir's messages name, taken out of the message and done."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from tests.cli.conftest import Memir, Ran


def advised(text: str, start: str, **names: object) -> list[str]:
    """The words of the first command in backquotes that begins with `start`, as a shell reads it.

    names: what stands for its words in capitals (IMAGE, MEMBER); every other word stays as memir printed it.
    """
    commands = re.findall(rf"`({re.escape(start)}\b[^`]*)`", text)
    assert commands, text
    return [str(names.get(word.rstrip("."), word)) for word in shlex.split(commands[0])]


def done(words: list[str], cwd: Path, memir: Memir) -> Ran:
    """The command done: memir's own in this process, another program's as it is. It succeeds."""
    if words[0] == "memir":
        ran = memir(*words[1:])
        assert ran.code in (0, 5), ran.err  # 5: holds, and nobody signed it
        return ran
    ended = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, (words, ended.stderr)
    return Ran(ended.returncode, ended.stdout, ended.stderr)
