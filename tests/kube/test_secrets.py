# SPDX-License-Identifier: Apache-2.0
"""Masks, fingerprints and clear values."""

from __future__ import annotations

import hashlib
import hmac

from memir.kube.secrets import Secret, Secrets, mask, merged

KEY = bytes(32)
HMAC = hmac.new(KEY, b"hunter2", hashlib.sha256).hexdigest()
TOKEN = "ghp_" + "a1" * 18
SHA = hashlib.sha256(TOKEN.encode()).hexdigest()


def test_fingerprints_of_what_people_choose_need_the_key() -> None:
    secrets = Secrets(KEY)
    assert secrets.fingerprint("password", "hunter2") == f"hmac:{HMAC}"
    assert secrets.fingerprint("github token", TOKEN) == f"sha256:{SHA}"
    assert Secrets().fingerprint("password", "hunter2") != Secrets().fingerprint("password", "hunter2")
    assert hashlib.sha256(b"hunter2").hexdigest() not in secrets.fingerprint("database url", "hunter2")


def test_environments() -> None:
    secrets = Secrets(KEY)
    masked, found = secrets.environ(["PATH=/bin", "DB_PASSWORD=hunter2", "odd", f"T={TOKEN}", "DB_PASSWORD="])
    assert masked == [
        "PATH=/bin", f"DB_PASSWORD=*** (password, hmac {HMAC[:16]})", "odd",
        f"T=*** (github token, sha256 {SHA[:16]})", "DB_PASSWORD=",
    ]  # fmt: skip
    assert [(secret.kind, secret.name, secret.value) for secret in found] == [
        ("password", "DB_PASSWORD", "hunter2"), ("github token", "T", TOKEN),
    ]  # fmt: skip
    assert secrets.values == {f"hmac:{HMAC}": "hunter2", f"sha256:{SHA}": TOKEN}
    assert secrets.environ(None) == (None, ()) and secrets.args(None) == (None, ())


def test_command_lines() -> None:
    secrets = Secrets(KEY)
    shown = f"*** (password, hmac {HMAC[:16]})"
    for args, want in (
        (["x", "--password", "hunter2", "y"], ["x", "--password", shown, "y"]),
        (["x", "--password=hunter2"], ["x", f"--password={shown}"]),
        (["env", "PGPASSWORD=hunter2"], ["env", f"PGPASSWORD={shown}"]),
        (["sh", "-c", "mysql --password=hunter2 -h db"], ["sh", "-c", f"mysql --password={shown} -h db"]),
        (["x", "--password", "--verbose"], ["x", "--password", "--verbose"]),
        (["ps", "aux"], ["ps", "aux"]),
    ):
        assert secrets.args(args)[0] == want
    masked, found = secrets.args(["curl", "ftp://me:hunter2@host/"])
    assert found[0].kind == "url password" and masked == ["curl", f"ftp://me:{mask(found[0])}@host/"]


def test_notes_of_others_and_duplicates() -> None:
    secrets = Secrets(KEY)
    secret = secrets.add("token", "rule", TOKEN)
    assert secret == Secret("token", "rule", f"sha256:{SHA}", TOKEN) and secrets.values[secret.fingerprint] == TOKEN
    assert mask(secret) == f"*** (token, sha256 {SHA[:16]})"
    assert merged([secret, secret, Secret("token", "other", secret.fingerprint, TOKEN)])[1].name == "other"
    assert secrets.text("plain") == ("plain", ()) and secrets.text("\ud800", "PASSWORD")[1][0].value == "\ud800"
