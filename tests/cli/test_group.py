# SPDX-License-Identifier: Apache-2.0
"""A word that is no verb of acquire, collect, extract or tools: each names its own."""

from __future__ import annotations

import pytest
from typer.main import get_command

from memir.cli.group import Group, check_once
from memir.cli.main import VERBS, app
from tests.cli.conftest import Memir

GROUPS = ("acquire", "collect", "extract", "tools")


def test_every_verb_with_verbs_is_such_a_group() -> None:
    group = get_command(app)
    kinds = {name: group.get_command(None, name) for name in VERBS}  # type: ignore[attr-defined]  # a group
    assert tuple(sorted(name for name, each in kinds.items() if hasattr(each, "list_commands"))) == GROUPS
    assert all(isinstance(kinds[name], Group) for name in GROUPS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("extract", "node.lime", "-o", "t6"), "say first what, as in memir extract files|memory|container ...?"),
        (("extract", "file", "node.lime"), "extract has no verb 'file': do you mean memir extract files ...?"),
        (("acquire", "i-0abc"), "say first what, as in memir acquire ssh|local|ssm|pod|close ...?"),
        (("collect", "shop/web"), "say first what, as in memir collect pod|"),
        (("tools", "lst"), "do you mean memir tools list ...?"),
    ],
)
def test_what_is_no_verb(memir: Memir, words: tuple[str, ...], message: str) -> None:
    ran = memir(*words)
    assert (ran.code, ran.out) == (2, "") and message in ran.err, ran.err


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("analyze", "node.lime", "--cluster", "a", "--cluster=b"), "--cluster"),
        (("hunt", "node.lime", "-o", "case", "--output", "other"), "--output"),
        (("extract", "files", "node.lime", "-o", "a", "-o", "b"), "-o"),
    ],
)
def test_an_option_of_one_value_that_is_given_twice(memir: Memir, words: tuple[str, ...], option: str) -> None:
    """The first one would be dropped in silence."""
    ran = memir(*words)
    assert (ran.code, ran.out) == (2, "")
    assert f"memir: {option} is given twice: it takes one value" in ran.err.splitlines()


def test_what_may_be_repeated() -> None:
    """Options of several values, flags, values that look like options, and what stands behind --."""
    command = get_command(app).get_command(None, "analyze")  # type: ignore[attr-defined]  # a group

    class Context:
        def fail(self, message: str) -> None:
            raise AssertionError(message)

    check_once(Context(), command, ["a", "--logs", "x", "--logs", "y", "--json", "--json", "--rules", "r", "--rules=s"])
    check_once(Context(), command, ["a", "--cluster", "--cluster", "--", "--cluster", "x", "--cluster", "y"])
    with pytest.raises(AssertionError, match="--cluster is given twice"):
        check_once(Context(), command, ["--cluster", "x", "a", "--cluster", "y"])
