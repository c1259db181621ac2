# SPDX-License-Identifier: Apache-2.0
"""A plain sshd for the tests of connections, an agent, and passphrases told by a program."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acquire.rigs.sshd import Sshd
from tests.acquire.rigs.wait import until


@pytest.fixture(scope="module")
def plain_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server that lets this user in, on IPv4 and IPv6, and stands three wrong keys."""
    with Sshd(tmp_path_factory.mktemp("sshd"), extra=("MaxAuthTries 3", "ListenAddress ::1")) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of one's own, without agent."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real ssh-agent, empty."""
    address = home / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(address)], stdout=subprocess.DEVNULL)
    until(address.exists)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(address))
    yield address
    process.terminate()
    process.wait(30)


@pytest.fixture
def askpass(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that tells the passphrase `right`, as SSH_ASKPASS names one; it notes what it was asked."""
    program = home / "askpass"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> {home}/asked\necho right\n')
    program.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    return program
