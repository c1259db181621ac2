# SPDX-License-Identifier: Apache-2.0
"""Criteria of Match; test_config.py holds whole files against `ssh -G`."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.acquire.transports.ssh.config_match import Situation, matches, pattern_list
from memir.errors import UsageError


@pytest.mark.parametrize(
    ("patterns", "name", "fits"),
    [
        (["node-?"], "node-1", True), (["*"], "x", True), (["*", "!x"], "x", False), (["!x"], "y", False),
        (["NODE"], "node", True), (["[::1]"], "[::1]", True), (["[ab]"], "a", False), ([], "a", False),
    ],
)  # fmt: skip
def test_patterns(patterns: list[str], name: str, fits: bool) -> None:
    assert pattern_list(patterns, name) is fits


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("all", True), ("canonical", False), ("!canonical all", True), ("host *.example.com", True),
        ("host node", False), ("originalhost node", True), ("originalhost=node user=kim", True), ("user kim,x", True),
        ("!user kim", False), ("tagged t*", True), ("tagged x", False), ("sessiontype exec", True),
        ("sessiontype shell", False), ("localuser me", True), ("final", False),
    ],
)  # fmt: skip
def test_criteria(line: str, holds: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "me")
    now = Situation("node", "kim")
    values = {"hostname": "%h.example.com", "tag": "tag"}
    assert matches(line.split(), "f:1", now, values, active=True) is holds
    assert now.asked_final is (line == "final")


def test_nothing_is_run_in_a_block_that_does_not_hold(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    now = Situation("node", "kim")
    command = f"echo %h:%p >> {trace}"
    assert matches(["exec", command], "f:1", now, {}, active=False) is False
    assert matches(["user", "other", "exec", command], "f:1", now, {}, active=True) is False
    assert not trace.exists()
    assert matches(["exec", command], "f:1", now, {"port": "2200"}, active=True) is True
    assert trace.read_text() == "node:2200\n"
    assert matches(["exec", "exit 3"], "f:1", now, {}, active=True) is False


def test_what_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Situation("node", "kim")
    with pytest.raises(UsageError, match=r"f:2: memir does not know `Match version`.*--ssh-config"):
        matches(["version", "9"], "f:2", now, {}, active=True)
    monkeypatch.setenv("SHELL", "/nowhere/sh")
    with pytest.raises(UsageError, match="f:2: cannot run the command of Match exec"):
        matches(["exec", "true"], "f:2", now, {}, active=True)
