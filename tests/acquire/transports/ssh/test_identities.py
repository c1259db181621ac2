# SPDX-License-Identifier: Apache-2.0
"""Which keys are offered to a real server that ends the login after three, with a real agent."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from memir.acquire.transports.ssh.connect import open_client
from memir.acquire.transports.ssh.identities import agent_address, agent_keys, default_files
from memir.acquire.transports.ssh.keys import load_key
from memir.errors import AccessError
from tests.acquire.rigs.nodes import target
from tests.acquire.rigs.sshd import Sshd, keygen
from tests.acquire.transports.ssh.test_keys import OPENSSL, pkcs8


def let_in(server: Sshd, key: Path) -> None:
    """Let a key in, as a line of its own."""
    # ssh-keygen of OpenSSH 9.2 does not read Ed25519 in PKCS#8, newer ones do
    public = load_key(key, lambda _path: "right")
    with (server.folder / "authorized_keys").open("a") as file:
        file.write(f"{public.get_name()} {public.get_base64()}\n")


def reach(server: Sshd, **changes: object) -> str:
    """Log in; which key the server took, by its log."""
    before = len(server.log())
    client, opened = open_client(target(server, **{"identity": None, "agent": True, **changes}))
    _, out, _ = client.exec_command("id -un")
    assert out.read() == b"root\n"
    for each in reversed(opened):
        each.close()
    return str(re.findall(r"Accepted publickey for .* (SHA256:\S+)", server.log()[before:])[-1])


def fingerprint(path: Path) -> str:
    command = ["ssh-keygen", "-l", "-f", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]


def fill(count: int, folder: Path) -> list[Path]:
    """Keys that the server does not know, in the agent."""
    keys = [keygen(folder / f"stranger{number}") for number in range(count)]
    subprocess.run(["ssh-add", "-q", *map(str, keys)], check=True, capture_output=True)
    return keys


@pytest.mark.parametrize("kind", OPENSSL)
@pytest.mark.parametrize("passphrase", ["", "right"])
def test_keys_of_openssl_log_in(kind: str, passphrase: str, plain_sshd: Sshd, home: Path, askpass: Path) -> None:
    key = pkcs8(home / "key", kind, passphrase)
    let_in(plain_sshd, key)
    reach(plain_sshd, identity=key)
    assert (home / "asked").exists() is bool(passphrase)
    del askpass


def test_an_encrypted_key_is_loaded_as_the_message_says(
    plain_sshd: Sshd, agent: Path, home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    key = home / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "right", "-f", str(key)], check=True)
    let_in(plain_sshd, key)
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    with pytest.raises(AccessError, match=r"was offered no key \(the key .* is encrypted") as caught:
        reach(plain_sshd, identity=key)
    advice = re.findall(r"run `(ssh-add [^`]*)`", str(caught.value))[0]
    request.getfixturevalue("askpass")
    subprocess.run(shlex.split(advice), check=True, capture_output=True)
    (home / "asked").unlink()
    reach(plain_sshd, identity=key)
    assert not (home / "asked").exists()
    assert agent.exists()


def test_the_agent_s_key_by_its_public_half(plain_sshd: Sshd, agent: Path, home: Path) -> None:
    """Five strangers stand before it in the agent; the server would end the login at the third."""
    fill(5, home)
    key = keygen(home / "mine")
    let_in(plain_sshd, key)
    public = home / "elsewhere.pub"
    public.write_bytes(key.with_suffix(".pub").read_bytes())
    with pytest.raises(AccessError, match=r"elsewhere\.pub is a public key, and no agent holds its private half"):
        reach(plain_sshd, identity=public)
    subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)
    assert len(agent_keys(str(agent), [])) == 6
    assert reach(plain_sshd, identity=public) == fingerprint(public)
    # a private key's file of the same name beside its .pub: the agent's is taken, whatever the file's passphrase
    assert reach(plain_sshd, identity=key) == fingerprint(public)
    with pytest.raises(AccessError, match=r"ended the login after 3 keys .*MaxAuthTries.*--identity FILE"):
        reach(plain_sshd)


def test_a_public_half_is_added_as_the_message_says(plain_sshd: Sshd, agent: Path, home: Path) -> None:
    key = keygen(home / "mine")
    let_in(plain_sshd, key)
    with pytest.raises(AccessError) as caught:
        reach(plain_sshd, identity=key.with_suffix(".pub"))
    advice = re.findall(r"run `(ssh-add [^`]*)`", str(caught.value))[0]
    subprocess.run(shlex.split(advice), check=True, capture_output=True)
    reach(plain_sshd, identity=key.with_suffix(".pub"))
    assert agent.exists()


@pytest.mark.parametrize("only", [True, False])
def test_identities_only(only: bool, plain_sshd: Sshd, agent: Path, home: Path) -> None:
    strangers = fill(4, home)
    key = keygen(home / "mine")
    let_in(plain_sshd, key)
    subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)
    config = home / "config"
    config.write_text(f"IdentityFile {home}/mine.pub\n" + ("IdentitiesOnly yes\n" if only else ""))
    # named keys of the agent go first in both cases
    assert reach(plain_sshd, config=config) == fingerprint(key)
    config.write_text(f"IdentityFile {strangers[0]}.pub\n" + ("IdentitiesOnly yes\n" if only else ""))
    offered = 1 if only else 3
    with pytest.raises(AccessError) as caught:
        reach(plain_sshd, config=config)
    assert str(caught.value).count("SHA256:") == offered
    assert ("refuses every key" in str(caught.value)) is only
    assert agent.exists()


def test_another_agent_or_none(plain_sshd: Sshd, agent: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keygen(home / "mine")
    let_in(plain_sshd, key)
    subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)
    monkeypatch.delenv("SSH_AUTH_SOCK")
    config = home / "config"
    for value in (str(agent), "~/agent", "%d/agent"):
        config.write_text(f"IdentityAgent {value}\n")
        assert reach(plain_sshd, config=config) == fingerprint(key)
    monkeypatch.setenv("OTHER", str(agent))
    config.write_text("IdentityAgent $OTHER\n")
    assert reach(plain_sshd, config=config) == fingerprint(key)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    config.write_text("IdentityAgent none\n")
    with pytest.raises(AccessError, match="was offered no key: give --identity FILE or load the agent"):
        reach(plain_sshd, config=config)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "nobody"))
    with pytest.raises(AccessError, match=r"the agent at .*nobody does not answer"):
        reach(plain_sshd)
    assert agent_address("SSH_AUTH_SOCK", str) == str(home / "nobody")


def test_a_certificate_beside_the_key(home: Path) -> None:
    authority, key = keygen(home / "ca"), keygen(home / "key")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "kim", "-n", "root", f"{key}.pub"]
    subprocess.run(sign, check=True, capture_output=True)
    with Sshd(home / "sshd", extra=(f"TrustedUserCAKeys {authority}.pub",)) as server:
        reach(server, identity=key)
        assert "ED25519-CERT" in server.log()
        with pytest.raises(AccessError, match="refuses every key that was offered: ssh-ed25519 SHA256:"):
            reach(server, identity=keygen(home / "other"))


def test_a_server_that_wants_more_or_no_key(home: Path) -> None:
    with Sshd(home / "a") as server:
        text = (server.folder / "sshd_config").read_text()
        text = text.replace("PasswordAuthentication no", "PasswordAuthentication yes")
        text = text.replace("PermitRootLogin prohibit-password", "PermitRootLogin yes")
        (server.folder / "sshd_config").write_text(f"{text}AuthenticationMethods publickey,password\n")
        server.stop()
        server.start()
        with pytest.raises(AccessError, match=r"but wants more \(password\): log in with a key alone"):
            reach(server, identity=server.client_key)
    with Sshd(home / "b") as server:
        text = (server.folder / "sshd_config").read_text()
        text = text.replace("PasswordAuthentication no", "PasswordAuthentication yes\nPubkeyAuthentication no")
        (server.folder / "sshd_config").write_text(text)
        server.stop()
        server.start()
        with pytest.raises(AccessError, match=r"takes no key \(it offers password\): allow publickey there"):
            reach(server, identity=server.client_key)


def test_the_usual_files(home: Path) -> None:
    assert default_files() == []
    keygen(home / ".ssh" / "id_ed25519")
    assert default_files() == [home / ".ssh" / "id_ed25519"]
