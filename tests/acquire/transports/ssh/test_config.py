# SPDX-License-Identifier: Apache-2.0
"""ssh_config as ssh reads it: `ssh -G` is the judge of every case."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from memir.acquire.transports.ssh.config import SshConfig
from memir.errors import UsageError

KEYWORDS = ("hostname", "user", "port", "proxyjump", "hostkeyalias", "identityfile", "identitiesonly")

FILES = {
    "first value": "Host node\n  User kim\nHost *\n  User other\n  Port 2200\n",
    "negation": "Host *.internal !bad.internal\n  User kim\nHost *\n  User other\n",
    "equals, quotes, case, comment": 'hOsT="node"\n  USER = "k i m" \n  Port=2201 # not 22\n  # User no\n',
    "no newline at the end": "Host node\n  User last",
    "several identities": "IdentityFile ~/.ssh/a\nHost node\n  IdentityFile %d/b\n  IdentityFile ~/.ssh/a\n",
    "hostname with a token": "Host node\n  HostName %h.example.com\n",
    "include in a block": "Host node\n  Include block\n  Port 2300\nHost other.internal\n  Port 2301\n",
    "include with blocks inside of a block": "Host node\n  Include hosts.d/*\nHost *\n  Port 2400\n",
    "include of globs, and of what is not there": "Include hosts.d/*.conf none nowhere/*\nHost *\n  User last\n",
    "include of an absolute path": "Include {folder}/.ssh/block\n",
    "include with a home": "Include ~/.ssh/block\n",
    "include that a block forbids": "Host nobody\n  Include block\nHost *\n  Port 2301\n",
    "match host": "Host node\n  HostName node.example.com\nMatch host *.example.com\n  User by-name\n",
    "match originalhost": "Host node\n  HostName x\nMatch originalhost node,other user root\n  Port 2500\n",
    "match user": "Host *\n  User kim\nMatch user kim\n  Port 2501\nMatch !user kim\n  Port 2502\n",
    "match exec": "Match exec \"test %n = node\"\n  User yes\nMatch exec false\n  Port 2503\n",
    "match !exec": "Match !exec false originalhost n*\n  User no-exec\n",
    "match all": "Host nobody\n  Port 2504\nMatch all\n  Port 2505\n",
    "match final": "Match final host *.example.com\n  User late\nHost node\n  HostName node.example.com\n",
    "match localuser": "Match localuser root,{user}\n  User here\n",
    "match with an include": "Match host node\n  Include block\n",
    "jump": "Host node\n  ProxyJump kim@gate:2200\n",
    "alias": "Host node\n  HostKeyAlias real\n  IdentitiesOnly yes\n",
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ".ssh"
    (folder / "hosts.d").mkdir(parents=True)
    (folder / "block").write_text("User of-block\nHost *.internal\n  HostKeyAlias inner\n")
    (folder / "hosts.d" / "10.conf").write_text("Host node\n  HostName ten\nHost other.internal\n  User eleven\n")
    (folder / "hosts.d" / "20.conf").write_text("HostName twenty\nUser twenty\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def judged(config: Path, host: str, home: Path) -> dict[str, list[str]]:
    """What ssh itself says. It takes the home folder from the user database, not from HOME."""
    import os
    import pwd

    printed = subprocess.run(["ssh", "-G", "-F", str(config), host], capture_output=True, text=True, check=True).stdout
    answer: dict[str, list[str]] = {}
    for line in printed.splitlines():
        keyword, _, value = line.partition(" ")
        if keyword in KEYWORDS:
            answer.setdefault(keyword, []).append(value.replace(pwd.getpwuid(os.getuid()).pw_dir, str(home)))
    return answer


@pytest.mark.parametrize("host", ["node", "other.internal", "bad.internal"])
@pytest.mark.parametrize("case", FILES)
def test_as_ssh_reads_it(case: str, host: str, home: Path) -> None:
    import getpass

    config = home / "config"
    # ssh looks for relative includes below the user database's home, so they are written whole for it
    text = FILES[case].replace("{folder}", str(home)).replace("{user}", getpass.getuser())
    config.write_text(text)
    mine = SshConfig(config).lookup(host)
    for name in ("block", "hosts.d/*.conf", "hosts.d/*"):
        text = text.replace(f"Include {name}\n", f"Include {home}/.ssh/{name}\n")
    text = text.replace("Include hosts.d/*.conf none", f"Include {home}/.ssh/hosts.d/*.conf none")
    config.write_text(text.replace("Include ~/", f"Include {home}/"))
    theirs = judged(config, host, home)
    assert [mine.get("hostname")] == theirs["hostname"]
    assert [mine.get("port", "22")] == theirs["port"]
    assert [mine.get("user", getpass.getuser())] == theirs["user"]
    assert [mine.get("proxyjump")] == theirs.get("proxyjump", [""])
    assert [mine.get("hostkeyalias")] == theirs.get("hostkeyalias", [""])
    assert mine.yes("identitiesonly") is (theirs["identitiesonly"] == ["yes"])
    if mine.lists:
        plain = [each.replace("%d", "~").replace("~", str(home)) for each in mine.lists["identityfile"]]
        assert plain == [each.replace("%d", "~").replace("~", str(home)) for each in theirs["identityfile"]]


def test_nobody_has_to_have_one(home: Path) -> None:
    assert SshConfig().lookup("node").get("hostname") == "node"
    (home / ".ssh" / "config").write_text("Host node\n  HostName 127.0.0.9\n")
    assert SshConfig().lookup("node").get("hostname") == "127.0.0.9"


def test_canonical_names(home: Path) -> None:
    config = home / "config"
    config.write_text(
        "CanonicalizeHostname yes\nCanonicalDomains none.invalid localhost\nHost *.localhost\n  User local\n"
        "Match canonical\n  Port 2600\n"
    )
    import socket

    try:
        socket.getaddrinfo("node.localhost", None)
    except OSError:
        assert SshConfig(config).lookup("node").get("hostname") == "node"
    else:
        settings = SshConfig(config).lookup("node")
        assert (settings.get("hostname"), settings.get("user"), settings.get("port")) == (
            "node.localhost", "local", "2600",
        )  # fmt: skip
    config.write_text("CanonicalizeHostname yes\nCanonicalDomains none.invalid\nCanonicalizeFallbackLocal no\n")
    with pytest.raises(UsageError, match=r"no CanonicalDomains has node \(.*config:2\)"):
        SshConfig(config).lookup("node")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('Host "x\n', r"config:1: No closing quotation"),
        ("Host\n", r"config:1: 'Host' has no value"),
        ("User x\nMatch localnetwork 10.0.0.0/8\n  User y\n", r"config:2: memir does not know `Match localnetwork`"),
        ("Match user\n", r"config:1: Match user has no value"),
        ("Include {folder}/config\n", r"Include is 16 files deep"),
        ("Include {folder}/.ssh\n", r"config:1: Include names the folder"),
        ("HostName %q\n", r"%q in '%q' means nothing there"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, words: str, home: Path) -> None:
    config = home / "config"
    config.write_text(text.replace("{folder}", str(home)))
    with pytest.raises(UsageError, match=words):
        SshConfig(config).lookup("node")


def test_files_that_are_not_there_or_not_text(home: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the SSH configuration .*none: "):
        SshConfig(home / "none").lookup("node")
    (home / "config").write_bytes(b"Host \xff\xfe\n")
    with pytest.raises(UsageError, match="cannot read the SSH configuration"):
        SshConfig(home / "config").lookup("node")
