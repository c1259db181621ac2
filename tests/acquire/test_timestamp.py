# SPDX-License-Identifier: Apache-2.0
"""Asking a time stamp authority: only a hash leaves this machine, and its answer is bounded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from memir.acquire.timestamp import check_url, stamp
from memir.errors import ConnectError, UsageError
from tests.acquire.rigs.tsa import TimeStampAuthority

MESSAGE = b"the end of a manifest"


def test_only_the_hash_is_sent(tmp_path: Path) -> None:
    with TimeStampAuthority(tmp_path / "tsa") as authority:
        assert stamp(tmp_path, MESSAGE, authority.url).endswith("Z")
        query = (tmp_path / "tsa" / "query.tsq").read_bytes()
    assert hashlib.sha512(MESSAGE).digest() in query or hashlib.sha256(MESSAGE).digest() in query
    assert MESSAGE not in query
    assert (tmp_path / "manifest.tsr").stat().st_size > 100


def test_an_answer_that_is_none(tmp_path: Path) -> None:
    with TimeStampAuthority(tmp_path / "tsa") as authority:
        authority.answer = b"<html>sign in</html>"
        with pytest.raises(ConnectError, match="gave an answer that cannot be read"):
            stamp(tmp_path, MESSAGE, authority.url)
        authority.answer = bytes(2 << 20)
        with pytest.raises(ConnectError, match="sent more than 1,048,576 bytes"):
            stamp(tmp_path, MESSAGE, authority.url)
    assert not (tmp_path / "manifest.tsr").exists()


def test_addresses() -> None:
    assert check_url("http://tsa.example/") == "http://tsa.example/"
    with pytest.raises(UsageError, match="--timestamp-url 'file:///etc/passwd': write http"):
        check_url("file:///etc/passwd")
