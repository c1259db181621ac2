# SPDX-License-Identifier: Apache-2.0
"""A passphrase is asked for at a real terminal, or of the program that SSH_ASKPASS names."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from memir.acquire.transports.ssh.passphrase import ask_passphrase

ASK = "from pathlib import Path; from memir.acquire.transports.ssh.passphrase import ask_passphrase as a; "


def test_the_program_is_asked(askpass: Path, home: Path) -> None:
    assert ask_passphrase(Path("/keys/a b")) == "right"
    assert (home / "asked").read_text() == "Enter passphrase for key '/keys/a b': \n"
    askpass.write_text("#!/bin/sh\nexit 1\n")
    assert ask_passphrase(Path("/keys/a")) is None
    askpass.unlink()
    assert ask_passphrase(Path("/keys/a")) is None


def test_nobody_can_be_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del home
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert ask_passphrase(Path("/keys/a")) is None


def test_a_program_without_display_is_not_asked_unasked(askpass: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_ASKPASS_REQUIRE")
    monkeypatch.delenv("DISPLAY", raising=False)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert ask_passphrase(askpass) is None
        monkeypatch.setenv("DISPLAY", ":0")
        assert ask_passphrase(askpass) == "right"


def test_at_a_terminal_nothing_shows(home: Path) -> None:
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", f"{ASK}print('<' + str(a(Path('/keys/a'))) + '>')"],
        stdin=inner, stdout=subprocess.PIPE, stderr=inner, start_new_session=True, cwd=home,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )  # fmt: skip
    os.close(inner)
    screen = b""
    while b"Enter passphrase for key '/keys/a': " not in screen:
        screen += os.read(outer, 1000)
    os.write(outer, b"right\n")
    out, _ = process.communicate(timeout=60)
    assert out == b"<right>\n"
    os.set_blocking(outer, False)
    with contextlib.suppress(OSError):
        screen += os.read(outer, 1000)
    os.close(outer)
    assert b"right" not in screen
