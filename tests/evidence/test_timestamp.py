# SPDX-License-Identifier: Apache-2.0
"""RFC 3161 time stamps, by a loopback authority made with `openssl ts`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from memir.acquire.timestamp import stamp
from memir.errors import ConnectError, StorageError, UsageError
from memir.evidence.timestamp import load_roots, read_timestamp
from tests.acquire.rigs.tsa import TimeStampAuthority

MESSAGE = b"memir manifest v1\n3\nabc\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]  # a generator fixture
    with TimeStampAuthority(tmp_path_factory.mktemp("tsa")) as server:
        yield server


def test_a_stamp_holds_for_its_bytes_and_its_authority(authority: TimeStampAuthority, tmp_path: Path) -> None:
    time = stamp(tmp_path, MESSAGE, authority.url)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds() < 60
    token = (tmp_path / "manifest.tsr").read_bytes()
    unchecked, wrong = read_timestamp(token, MESSAGE)
    assert wrong == ""
    assert unchecked is not None and (unchecked.time, unchecked.checked) == (time, False)
    checked, wrong = read_timestamp(token, MESSAGE, authority.root)
    assert (wrong, checked and checked.checked) == ("", True)
    assert read_timestamp(token, MESSAGE + b"x")[1] == "is over other bytes than this manifest's end"
    assert len(load_roots(authority.root)) == 1


def test_an_authority_whose_certificates_are_out_of_order(tmp_path: Path) -> None:
    with TimeStampAuthority(tmp_path / "tsa", chain=True) as server:
        stamp(tmp_path, MESSAGE, server.url)
        token = (tmp_path / "manifest.tsr").read_bytes()
        both = tmp_path / "both.pem"
        both.write_bytes(server.root.read_bytes() + (server.folder / "tsa.pem").read_bytes())
        found, wrong = read_timestamp(token, MESSAGE, both)
        assert (wrong, found and found.checked) == ("", True)


def test_another_authority_s_stamp_does_not_hold(authority: TimeStampAuthority, tmp_path: Path) -> None:
    stamp(tmp_path, MESSAGE, authority.url)
    token = (tmp_path / "manifest.tsr").read_bytes()
    with TimeStampAuthority(tmp_path / "other") as other:
        found, wrong = read_timestamp(token, MESSAGE, other.root)
    assert found is not None and not found.checked
    assert wrong.startswith("does not hold for the authorities of")


def test_every_flipped_byte_is_no_stamp(authority: TimeStampAuthority, tmp_path: Path) -> None:
    stamp(tmp_path, MESSAGE, authority.url)
    token = bytearray((tmp_path / "manifest.tsr").read_bytes())
    holds = 0
    for at in range(0, len(token), 7):
        token[at] ^= 0x41
        found, wrong = read_timestamp(bytes(token), MESSAGE, authority.root)
        holds += not wrong
        assert wrong or (found is not None and found.checked)
        token[at] ^= 0x41
    # bytes that the signature is not over: the status, the order of certificates, tags that mean the same
    assert holds < len(token) // 7 // 10


@pytest.mark.parametrize("data", [b"", b"0", b"\x30\x03\x02\x01\x00", b"\x30\x84\xff\xff\xff\xff", b"[" * 5000])
def test_what_is_no_token_is_said_not_raised(data: bytes) -> None:
    assert read_timestamp(data, MESSAGE)[1].startswith("cannot be read")


def test_who_cannot_be_asked(authority: TimeStampAuthority, tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1:9/ cannot be asked"):
        stamp(tmp_path, MESSAGE, "http://127.0.0.1:9/")
    with pytest.raises(StorageError, match="cannot write"):
        stamp(tmp_path / "none", MESSAGE, authority.url)
    with pytest.raises(UsageError, match="cannot read the time stamp authorities"):
        load_roots(tmp_path / "none.pem")
