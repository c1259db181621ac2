# SPDX-License-Identifier: Apache-2.0
"""Rules and options of a hunt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import memir
from memir.errors import RulesError, UsageError
from memir.hunt_options import hunt_options, nothing_wanted


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "server.yar"
    path.write_text('rule server { strings: $a = "/app/server" condition: $a }')
    return path


def test_compile_rules(rule: Path, tmp_path: Path) -> None:
    assert memir.compile_rules(None).count > 5  # those that come with memir
    assert memir.compile_rules(rule).count == memir.compile_rules([str(rule)]).count == 1
    (tmp_path / "ext.yar").write_text("rule e { condition: who == 7 }")
    assert memir.compile_rules(tmp_path / "ext.yar", {"who": 7}).count == 1
    with pytest.raises(RulesError):
        memir.compile_rules(tmp_path / "none.yar")


def test_options() -> None:
    options = hunt_options(kinds="files,process", pod="shop/web", pid=7, container=["a", "b"], workers=3)
    assert (options.kinds, options.workers, options.scope) == (frozenset({"files", "process"}), 3, "region")
    assert options.wanted.pods == {"shop/web"}
    assert options.wanted.pids == {7}
    assert options.wanted.containers == {"a", "b"}
    mistakes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"scope": "x"}, "--scope x"),
        ({"kinds": "all"}, "--kinds all"),
        ({"pid": 7, "kinds": "free"}, "--pid 7 has processes and files only"),
    )
    for wrong, words in mistakes:
        with pytest.raises(UsageError, match=words):
            hunt_options(**wrong)
    assert nothing_wanted("x.raw", options).startswith("x.raw: no process and no file there is of --pod shop/web")
