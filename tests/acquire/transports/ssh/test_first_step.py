# SPDX-License-Identifier: Apache-2.0
"""The first failed step on a host is told apart."""

from __future__ import annotations

import pytest

from memir.acquire.transports.base import Result
from memir.acquire.transports.ssh.first_step import why_not_root

DENIED = Result(1, b"", b"sudo: a password is required\n")


@pytest.mark.parametrize(
    ("plain", "with_sudo", "words"),
    [
        (Result(0, b"1000\n"), DENIED, "is not root and `sudo -n` does not work there (sudo: a password is required)"),
        (Result(0, b"Welcome!\n0\n"), Result(0, b"Welcome!\n0\n"), "writes to every command's output ('Welcome!'"),
        (Result(0, b"1000\n"), Result(0, b"** MOTD **\n0\n"), "every command's output ('** MOTD **'"),
        (Result(1, b"", b"This account is currently not available.\n"), DENIED, "no shell that runs /bin/sh (This acc"),
        (Result(127, b"", b""), DENIED, "has no shell that runs /bin/sh (exit code 127)"),
        (Result(0, b"git> unknown command\n"), DENIED, "answers 'git> unknown command' to `id -u`"),
        (Result(0, b""), DENIED, "answers 'nothing' to `id -u`"),
    ],
)  # fmt: skip
def test_each_reason(plain: Result, with_sudo: Result, words: str) -> None:
    said = why_not_root(plain, with_sudo, "kim@node")
    assert said.startswith("kim@node")
    assert words in said
