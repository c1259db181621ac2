# SPDX-License-Identifier: Apache-2.0
"""Tokens as `ssh -G` and ssh's ControlPath expand them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from memir.acquire.transports.ssh.config_tokens import expand, home_of, local_user, port_of, tokens_of
from memir.errors import UsageError


def test_every_token_as_ssh_has_it(tmp_path: Path) -> None:
    """ssh's LocalCommand would need a server; what `Match exec` runs needs none."""
    letters = "%h %n %p %r %u %i %l %L %%"
    (tmp_path / "config").write_text(
        f"Host node\n  HostName real\n  Port 2200\n  User kim\nMatch exec \"echo '{letters}' > {tmp_path}/out\"\n"
    )
    subprocess.run(["ssh", "-G", "-F", str(tmp_path / "config"), "node"], check=True, capture_output=True)
    tokens = tokens_of(host="real", original="node", port=2200, user="kim")
    assert expand(letters, tokens, "x") == (tmp_path / "out").read_text().strip()


def test_home_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/kim")
    monkeypatch.setenv("WHERE", "there")
    assert expand("~/.ssh/${WHERE}", {}, "x") == "/home/kim/.ssh/there"
    assert expand("%d/a", {"d": home_of()}, "x") == "/home/kim/a"
    monkeypatch.setenv("LOGNAME", "kim")
    assert local_user() == "kim"
    with pytest.raises(UsageError, match="f:3: the environment has no NOWHERE"):
        expand("${NOWHERE}", {}, "f:3")
    with pytest.raises(UsageError, match="f:3: %z in '%z' means nothing"):
        expand("%z", {}, "f:3")


def test_ports() -> None:
    assert port_of("22", "x") == 22
    for text in ("0", "65536", "ssh", "", "-1"):
        with pytest.raises(UsageError, match="is no port"):
            port_of(text, "x")
