# SPDX-License-Identifier: Apache-2.0
"""Credentials of each origin, by botocore's own providers."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from memir.aws.client import Connection, s3_client
from memir.aws.errors import calling
from memir.aws.session_end import credentials_check
from memir.errors import AccessError

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PROFILE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "CREDENTIAL_EXPIRATION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def client(monkeypatch: pytest.MonkeyPatch, profile: str | None = None, **environment: str) -> Any:
    for name, value in environment.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return s3_client(Connection("eu-west-1", "http://127.0.0.1:9", profile))


KEYS = {"ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "SECRET_ACCESS_KEY": "secret"}


def test_keys_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    check = credentials_check(client(monkeypatch, **KEYS), 3600)
    assert (check.level, check.detail) == ("ok", "an access key, which does not end by itself")
    assert credentials_check(client(monkeypatch, **KEYS, SESSION_TOKEN=""), 3600).level == "ok"


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials_check(client(monkeypatch), 60).level == "warn"


def test_a_token_whose_end_nobody_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    check = credentials_check(client(monkeypatch, **KEYS, SESSION_TOKEN="token"), 5400)
    assert check.level == "warn"
    assert check.detail == (
        "temporary (a session token), and nothing tells when they end; the run is expected to take 90 min"
    )
    assert "--profile NAME" in check.advice
    assert "AWS_CREDENTIAL_EXPIRATION" in check.advice
    assert "token" not in check.advice.replace("session token", "")


@pytest.mark.parametrize(
    ("minutes", "expected", "level", "words"),
    [
        (60, 1800, "ok", "the credentials end at 2030-05-01T13:00:00Z, in 60 min; the run is expected to take 30 min"),
        (60, 2460, "warn", "in 60 min; the run is expected to take 41 min"),
        (600, 36000, "warn", "in 10.0 h; the run is expected to take 10.0 h"),
        (-1, 60, "fail", "the credentials ended at 2030-05-01T11:59:00Z"),
    ],
)
def test_an_end_in_the_environment(
    minutes: int, expected: float, level: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = NOW + timedelta(minutes=minutes)
    there = client(monkeypatch, **KEYS, SESSION_TOKEN="t", CREDENTIAL_EXPIRATION=ends.isoformat())
    check = credentials_check(there, expected, NOW)
    assert check.level == level
    assert words in check.detail


def test_a_profile_that_renews_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """credential_process: each time it is asked it tells others, as a role or an SSO session does."""
    program = tmp_path / "tell.py"
    program.write_text(
        "import json, pathlib, datetime as d\n"
        f"path = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "count = int(path.read_text()) + 1 if path.exists() else 1\n"
        "path.write_text(str(count))\n"
        "ends = d.datetime.now(d.timezone.utc) + d.timedelta(seconds=60)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'K{count}', 'SecretAccessKey': 's', 'SessionToken': 't',\n"
        "                  'Expiration': ends.isoformat()}))\n"
    )
    (tmp_path / "config").write_text(f"[profile ir]\ncredential_process = {sys.executable} {program}\n")
    there = client(monkeypatch, "ir")
    check = credentials_check(there, 36_000)
    assert (check.level, check.detail) == ("ok", "temporary (custom-process), renewed while the run goes on")
    # they end in a minute, which is less than botocore's margin: each URL is signed with new ones
    urls = [there.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"}) for _ in range(2)]
    assert len({url.partition("Credential=")[2].partition("%2F")[0] for url in urls}) == 2
    assert int((tmp_path / "count").read_text()) >= 2


def test_credentials_that_ended_are_said_and_no_fault_of_memir_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore raises a bare RuntimeError for those of the environment."""
    soon = datetime.now(UTC) + timedelta(seconds=2)
    there = client(monkeypatch, **KEYS, SESSION_TOKEN="t", CREDENTIAL_EXPIRATION=soon.isoformat())
    time.sleep(2.1)
    with pytest.raises(AccessError, match=r"s3://b: the AWS credentials have ended .*sign in again"), calling(
        "s3:ListBucket", "s3://b"
    ):
        there.list_objects_v2(Bucket="b")
