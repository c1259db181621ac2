# SPDX-License-Identifier: Apache-2.0
"""A word that is no verb of acquire, collect, extract or tools: each names its own."""

from __future__ import annotations

import pytest
from typer.main import get_command

from memir.cli.group import Group
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
