# SPDX-License-Identifier: Apache-2.0
"""A verb that has verbs of its own (acquire, collect, extract, tools): what it says to a word that is none of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup


def check_once(ctx: Any, command: Any, words: Sequence[str]) -> None:
    """Fails where an option that takes one value is given twice: the first one would be dropped in silence."""
    single = {
        name: param
        for param in command.params
        for name in param.opts
        if name.startswith("-") and not (param.multiple or param.is_flag or param.count)
    }
    given: set[str] = set()
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        name, same_word, _ = word.partition("=")
        if name not in single:
            continue
        if not same_word:
            next(rest, None)  # its value
        if single[name].name in given:
            ctx.fail(f"{name} is given twice: it takes one value")
        given.add(single[name].name)


class Group(TyperGroup):
    """Names its verbs, and what to type with the word that was given."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that was asked for; for a word that is none, the verbs that there are."""
        word = args[0]
        if self.get_command(ctx, word) is None and not word.startswith("-"):
            from difflib import get_close_matches

            names = self.list_commands(ctx)
            near = get_close_matches(word, names, 3, 0.6)
            verbs = " or ".join(near) if near else "|".join(names)
            lead = "do you mean" if near else "say first what, as in"
            ctx.fail(f"{ctx.info_name} has no verb {word!r}: {lead} memir {ctx.info_name} {verbs} ...?")
        name, command, words = super().resolve_command(ctx, args)
        check_once(ctx, command, words)
        return name, command, words
