# SPDX-License-Identifier: Apache-2.0
"""docs/reference/commands.md, from memir's own parser: run `python -m documentation.commands`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from memir.cli.main import VERBS, app

_HEAD = """# Commands

Made by `python -m documentation.commands` from the command line's own parser; edit that.
`memir VERB --help` says the same.

Every verb takes `--help` and `--debug`. With `--json` a verb prints one document and nothing else on standard output.
Progress goes to standard error, and only to a terminal.

| exit code | |
|---|---|
| 0 | done |
| 1 | done, with findings at or above `--fail-on` |
| 2 | the command line is wrong |
| 3 | bad or partial evidence |
| 4 | the remote side failed, or acquisition is partial |
| 5 | whole, but unsigned (`verify`) |
| 70 | a fault of memir's own |
| 130 | interrupted; partial work is kept |
"""


def reference() -> str:
    """The whole page as Markdown, with a final newline."""
    group: Any = get_command(app)
    text = _HEAD
    for name in VERBS:
        for title, command in _commands(name, group.get_command(None, name)):
            text += f"\n## {title}\n\n{_escaped(command.help or '')}\n\n" + _usage(title, command) + _options(command)
    return text


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", {})
    yield f"memir {name}", command
    for below, each in inner.items():
        yield from _commands(f"{name} {below}", each)


def _usage(title: str, command: Any) -> str:
    words = [title, "[OPTIONS]"]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = (parameter.metavar or parameter.name).upper()
            word += "..." if parameter.nargs == -1 and "..." not in word else ""
            words.append(word if parameter.required or word.startswith("[") else f"[{word}]")
    if getattr(command, "commands", None):
        words.append("COMMAND")
    return f"```text\n{' '.join(words)}\n```\n\n"


def _options(command: Any) -> str:
    rows = []
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        if parameter.param_type_name == "argument":
            name = f"`{(parameter.metavar or parameter.name).upper()}`"
        else:
            name = ", ".join(f"`{word}`" for word in (*parameter.opts, *parameter.secondary_opts))
        rows.append(f"| {name} | {_escaped(getattr(parameter, 'help', None) or '')} |")
    return "| | |\n|---|---|\n" + "\n".join(rows) + "\n" if rows else ""


def _escaped(text: str) -> str:
    """As help shows it: lines that are kept (\\b) on lines of their own, nothing that Markdown reads as its own."""
    text = " ".join(text.replace("\b", "").split())
    for mark in ("\\", "|", "<", "*", "_", "["):
        text = text.replace(mark, "&lt;" if mark == "<" else f"\\{mark}")
    return text


if __name__ == "__main__":
    sys.stdout.write(reference())
