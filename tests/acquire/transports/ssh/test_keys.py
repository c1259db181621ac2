# SPDX-License-Identifier: Apache-2.0
"""Key files of each format and kind, made by ssh-keygen and openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from memir.acquire.transports.ssh.keys import certificate_of, load_key, private_of, public_blob, public_of
from memir.errors import AccessError, UsageError
from tests.acquire.rigs.sshd import keygen

OPENSSL = {
    "ed25519": ["-algorithm", "ed25519"],
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ecdsa": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
}
NAMES = {"ed25519": "ssh-ed25519", "rsa": "ssh-rsa", "ecdsa": "ecdsa-sha2-nistp256"}


def pkcs8(path: Path, kind: str, passphrase: str = "") -> Path:
    """A key as openssl writes it: BEGIN PRIVATE KEY, or BEGIN ENCRYPTED PRIVATE KEY."""
    cipher = ["-aes256", "-pass", f"pass:{passphrase}"] if passphrase else []
    subprocess.run(["openssl", "genpkey", *OPENSSL[kind], *cipher, "-out", str(path)], check=True, capture_output=True)
    path.chmod(0o600)
    return path


def nobody(path: Path) -> str | None:
    del path
    return None


@pytest.mark.parametrize("kind", OPENSSL)
@pytest.mark.parametrize("passphrase", ["", "right"])
def test_pkcs8(kind: str, passphrase: str, tmp_path: Path) -> None:
    path = pkcs8(tmp_path / "key", kind, passphrase)
    head = path.read_text().splitlines()[0]
    assert head == f"-----BEGIN {'ENCRYPTED ' if passphrase else ''}PRIVATE KEY-----"
    key = load_key(path, lambda _path: "right")
    assert (key.get_name(), key.can_sign()) == (NAMES[kind], True)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
@pytest.mark.parametrize("form", ["RFC4716", "PEM"])
@pytest.mark.parametrize("passphrase", ["", "right"])
def test_ssh_keygen_s_own(kind: str, form: str, passphrase: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-m", form, "-N", passphrase, "-f", str(path)], check=True, capture_output=True
    )
    key = load_key(path, lambda _path: "right")
    assert key.asbytes() == public_blob(path.with_suffix(".pub").read_bytes())
    assert public_of(path) == key.asbytes()
    path.with_suffix(".pub").unlink()
    header = b"OPENSSH" in path.read_bytes()
    assert public_of(path) == (key.asbytes() if header else None)


def test_an_encrypted_key_and_its_passphrase(tmp_path: Path) -> None:
    path = pkcs8(tmp_path / "key", "ed25519", "right")
    with pytest.raises(AccessError, match=rf"the key {path} is encrypted and nobody can be .*run `ssh-add {path}`"):
        load_key(path, nobody)
    asked: list[Path] = []

    def wrong(file: Path) -> str:
        asked.append(file)
        return "wrong"

    with pytest.raises(AccessError, match="its passphrase is wrong"):
        load_key(path, wrong)
    assert asked == [path] * 3
    answers = iter(["wrong", "right"])
    assert load_key(path, lambda _path: next(answers)).can_sign()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no private key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "is a key of PuTTY's, which ssh does not read either"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "cannot be read"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
    ],
)
def test_what_is_no_key_is_named(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(UsageError, match=rf"{path} .*{words}|{path} {words}"):
        load_key(path, nobody)
    assert public_of(path) is None


def test_kinds_that_ssh_does_not_use(tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "x25519", "-out", str(path)], check=True, capture_output=True)
    with pytest.raises(UsageError, match=rf"{path} holds a key of a kind that SSH does not use \(X25519"):
        load_key(path, nobody)


def test_a_public_key_where_a_private_one_is_wanted(tmp_path: Path) -> None:
    path = keygen(tmp_path / "key").with_suffix(".pub")
    with pytest.raises(UsageError, match=rf"{path} is a public key, .*run `ssh-add {tmp_path}/key`"):
        load_key(path, nobody)
    assert private_of(path) == tmp_path / "key"
    with pytest.raises(UsageError, match=rf"cannot read the key {tmp_path}/none: No such file"):
        load_key(tmp_path / "none", nobody)


def test_certificates(tmp_path: Path) -> None:
    authority, path, other = (keygen(tmp_path / name) for name in ("ca", "key", "other"))
    for each in (path, other):
        subprocess.run(
            ["ssh-keygen", "-q", "-s", str(authority), "-I", "kim", "-n", "root", f"{each}.pub"],
            check=True, capture_output=True,
        )  # fmt: skip
    key = load_key(path, nobody)
    certified = certificate_of(key, tmp_path / "key-cert.pub")
    assert certified is not None
    assert certified.public_blob is not None
    assert certified.public_blob.key_type == "ssh-ed25519-cert-v01@openssh.com"
    assert key.public_blob is None
    assert certificate_of(key, tmp_path / "other-cert.pub") is None
    (tmp_path / "bad-cert.pub").write_text("nothing\n")
    with pytest.raises(UsageError, match=r"bad-cert\.pub is no certificate"):
        certificate_of(key, tmp_path / "bad-cert.pub")
