# SPDX-License-Identifier: Apache-2.0
"""Commands that shells and clients wrote into their history files."""

from __future__ import annotations

import re

from memir.kube.cached_file import CachedFile
from memir.kube.log_line import LogLine, text_of

_NAME = re.compile(r"/\.(?:bash|ash|sh|zsh|ksh|python|mysql|psql|sqlite|node_repl|rediscli)_history$|/\.histfile$")
_BASH_TIME = re.compile(rb"#([0-9]{9,10})$")  # HISTTIMEFORMAT is set: a comment before each command
_ZSH = re.compile(rb": ([0-9]{9,10}):([0-9]{1,9});")  # EXTENDED_HISTORY: begin and duration


def is_history(path: str) -> bool:
    """Whether a path is that of a history."""
    return _NAME.search(path[-256:]) is not None


def commands(file: CachedFile) -> list[LogLine]:
    """Commands in the order of the file, with the time where it has one; sequence: number of the command in it."""
    lines: list[LogLine] = []
    stamp: int | None = None
    for _, raw in file.lines():
        bash, zsh = _BASH_TIME.match(raw), _ZSH.match(raw)
        if bash is not None:
            stamp = int(bash[1]) * 1_000_000
            continue
        if not raw:
            continue
        if zsh is not None:
            line = LogLine(int(zsh[1]) * 1_000_000, text_of(raw[zsh.end() :]), [f"duration={int(zsh[2])}"])
        else:
            line = LogLine(stamp, text_of(raw))
        line.sequence = len(lines) + 1
        lines.append(line)
        stamp = None
    return lines
