# SPDX-License-Identifier: Apache-2.0
"""What is taken for a secret, and what is not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.kube.secret_names import MAX_TEXT, PEOPLE, kind_of_name, secrets_in

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2V4In0.c2lnbmF0dXJlLWJ5dGVz"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DB_PASSWORD", "password"), ("PGPASSWORD", "password"), ("MYSQL_PWD", "password"),
        ("redisPassword", "password"), ("SMTP_PASS", "password"), ("APP_SECRET", "secret"), ("GITHUB_TOKEN", "token"),
        ("authToken", "secret"),
        ("AWS_SECRET_ACCESS_KEY", "aws secret key"), ("AWS_SESSION_TOKEN", "token"), ("API_KEY", "api key"),
        ("stripe.apiKey", "api key"), ("DATABASE_URL", "database url"), ("SENTRY_DSN", "database url"),
        ("SLACK_WEBHOOK_URL", "api key"), ("TLS_PRIVATE_KEY", "private key"), ("client-secret", "secret"),
        ("PWD", None), ("OLDPWD", None), ("PATH", None), ("DB_PASSWORD_FILE", None), ("AWS_ACCESS_KEY_ID", None),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", None), ("TOKEN_TTL", None), ("SECRET_NAME", None), ("SSH_AUTH_SOCK", None),
        ("KEYBOARD", None), ("PASSENGERS", None), ("COMPASS", None), ("TOKENIZER", None), ("BASE_URL", None),
        ("", None),
        ("KUBERNETES_SERVICE_HOST", None), ("MONKEY", None),
    ],
)  # fmt: skip
def test_names(name: str, kind: str | None) -> None:
    assert kind_of_name(name) == kind


def found(text: str, name: str | None = None) -> list[tuple[str, str | None, str]]:
    return [(match.kind, match.name, text[match.start : match.end]) for match in secrets_in(text, name)]


def test_shapes() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"
    for kind, secret in (
        ("token", JWT),
        ("private key", key),
        ("github token", "ghp_" + "a1" * 18),
        ("slack token", "xoxb-123456789012-abcdef"),
        ("google api key", "AIza" + "b" * 35),
        ("stripe key", "sk_live_" + "c" * 24),
    ):
        assert found(f"x {secret} y") == [(kind, None, secret)]
        assert found(secret, "ANY_TOKEN") == [(kind, "ANY_TOKEN", secret)]
    assert found("Authorization: Bearer abcdefghijklmnop") == [("bearer token", None, "abcdefghijklmnop")]
    assert found("postgres://app:hunter2@db:5432/x") == [("url password", None, "hunter2")]
    assert found("postgres://app:hunter2@db/x", "DATABASE_URL") == [
        ("database url", "DATABASE_URL", "postgres://app:hunter2@db/x")
    ]
    assert found("https://example.com:8080/a@b") == [] and found("sk_live_short") == []


def test_secrets_inside_a_command() -> None:
    text = "DB_PASSWORD='p w' X=1 mysql --password=hunter2 --user root --token abc -p /x; API_KEY=$KEY run"
    assert found(text) == [
        ("password", "DB_PASSWORD", "p w"), ("password", "password", "hunter2"), ("token", "token", "abc"),
    ]  # fmt: skip


def test_values_that_are_none() -> None:
    for value in ("", "true", "False", "none", "0", "/var/run/secrets/token"):
        assert found(value, "DB_PASSWORD") == []
    assert found("hunter2", "DB_PASSWORD") == [("password", "DB_PASSWORD", "hunter2")]
    assert {"password", "database url"} <= PEOPLE and "token" not in PEOPLE


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="abAB01=:-_./@ '\"$eyJ\n", max_size=200), st.none() | st.sampled_from(["DB_PASSWORD", "X"]))
def test_matches_lie_in_the_text_in_order(text: str, name: str | None) -> None:
    last = 0
    for match in secrets_in(text, name):
        assert last <= match.start < match.end <= len(text)
        last = match.end


def test_hostile_texts_take_no_time() -> None:
    begun = time.process_time()
    for text in ("eyJ" + "a" * MAX_TEXT, "eyJa." * MAX_TEXT, "-----BEGIN PRIVATE KEY-----" * 3000, "a=" * MAX_TEXT,
                 "://" * MAX_TEXT, "://a:" * MAX_TEXT, "--a" * MAX_TEXT, "='" * MAX_TEXT, "a" * MAX_TEXT):  # fmt: skip
        list(secrets_in(text))
    assert time.process_time() - begun < 20
