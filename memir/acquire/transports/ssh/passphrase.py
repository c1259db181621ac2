# SPDX-License-Identifier: Apache-2.0
"""Asking for a key's passphrase as ssh does: at the terminal, or by the program that SSH_ASKPASS names (ssh(1))."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import threading
from pathlib import Path

_LOCK = threading.Lock()


def ask_passphrase(path: Path) -> str | None:
    """The passphrase, None where nobody can be asked. One question at a time, also where many nodes are reached."""
    question = f"Enter passphrase for key '{path}': "
    with _LOCK:
        program, force = os.environ.get("SSH_ASKPASS"), os.environ.get("SSH_ASKPASS_REQUIRE", "")
        terminal = sys.stdin is not None and sys.stdin.isatty()
        if program and (force in {"force", "prefer"} or (not terminal and os.environ.get("DISPLAY"))):
            return _by_program(program, question)
        if not terminal or force == "force":
            return None
        try:
            return getpass.getpass(question, stream=sys.stderr)
        except (EOFError, OSError):
            return None


def _by_program(program: str, question: str) -> str | None:
    try:
        done = subprocess.run([program, question], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    except OSError:
        return None
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\r\n") if done.returncode == 0 else None
