# SPDX-License-Identifier: Apache-2.0
"""Credentials of AWS in the texts that have them. The keys are made up; their form is that of AWS's documentation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.kube.aws_keys import AwsKeys, account_of, aws_keys

KEY, SECRET, TOKEN = "ASIAQNZGKIQY56JQ7WML", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjE" * 20 + "=="
WHEN = "2026-11-23T23:27:08Z"
TEXTS = {
    "metadata service": f'{{\n  "Code" : "Success",\n  "AccessKeyId" : "{KEY}",\n  "SecretAccessKey" : "{SECRET}",\n'
    f'  "Token" : "{TOKEN}",\n  "Expiration" : "{WHEN}"\n}}',
    "pod identity agent": f'{{"AccessKeyId":"{KEY}","SecretAccessKey":"{SECRET}","Token":"{TOKEN}",'
    f'"AccountId":"029608264753","Expiration":"{WHEN}"}}',
    "command line": f'"AccessKeyId": "{KEY}",\n "SecretAccessKey": "{SECRET}",\n "SessionToken": "{TOKEN}",\n'
    f' "Expiration": "{WHEN}"',
    "STS": f"<AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
    f"<SessionToken>{TOKEN}</SessionToken><Expiration>{WHEN}</Expiration>",
    "environment": f"AWS_ACCESS_KEY_ID={KEY}\0AWS_SECRET_ACCESS_KEY={SECRET}\0AWS_SESSION_TOKEN={TOKEN}\0",
    "file": f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n",
}  # fmt: skip


@pytest.mark.parametrize("where", TEXTS)
def test_aws_keys(where: str) -> None:
    keys = aws_keys(TEXTS[where])
    expires = None if where in ("environment", "file") else WHEN
    assert keys == AwsKeys(KEY, SECRET, TOKEN, expires)
    assert keys.account == "029608264753"


def test_parts() -> None:
    assert aws_keys("nothing") is None
    assert aws_keys(f"aws_secret_access_key={SECRET}") == AwsKeys(None, SECRET, None, None)
    assert aws_keys(f"aws_secret_access_key={SECRET}A") is None, "41 letters are no key"
    assert AwsKeys(None, SECRET, None, None).account is None


def test_account_of() -> None:
    assert account_of("ASIAQNZGKIQY56JQ7WML") == "029608264753"
    assert account_of("AKIAIOSFODNN7EXAMPLE") is None, "a key of before 2019 has no account in it"


@given(st.text(max_size=400))
def test_hostile_text(text: str) -> None:
    aws_keys(f'"AccessKeyId":"{KEY}"{text}')
    account_of(text)
