# SPDX-License-Identifier: Apache-2.0
"""Records of logins as the C library lays them out on each processor."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from memir.kube.cached_file import CachedFile
from memir.kube.utmp import is_utmp, logins
from tests.fuzz import cases, mutations


def record(
    arch: str, kind: int, user: bytes, host: bytes = b"", address: bytes = b"", seconds: int = 1_795_472_904
) -> bytes:
    common = struct.pack("<hxxi32s4s32s256shh", kind, 777, b"pts/0", b"ts/0", user, host, 0, 0)
    words = (5, seconds, 123_456)
    if arch == "x86_64":
        return (common + struct.pack("<iii", *words) + address.ljust(16, b"\0")).ljust(384, b"\0")
    return (common + struct.pack("<qqq", *words) + address.ljust(16, b"\0")).ljust(400, b"\0")


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_records(arch: str) -> None:
    six = ipaddress.ip_address("2001:db8::1").packed
    data = (
        record(arch, 7, b"root", b"10.0.2.2", bytes([10, 0, 2, 2]))
        + record(arch, 8, b"")
        + record(arch, 99, b"none")
        + record(arch, 7, b"eve\xff", b"x", six)
        + record(arch, 7, b"cut")[:100]
    )
    lines = logins(CachedFile([data]), arch)
    assert [line.text for line in lines] == ["login root pts/0 10.0.2.2", "logout pts/0", "login eve\\xff pts/0 x"]
    assert {line.time for line in lines} == {1_795_472_904_123_456}
    assert lines[0].fields == [
        "user=root", "line=pts/0", "host=10.0.2.2", "address=10.0.2.2", "pid=777", "session=5",
    ]  # fmt: skip
    assert "address=2001:db8::1" in lines[2].fields


def test_holes_and_hostile_bytes() -> None:
    data = record("x86_64", 7, b"root") * 32  # three pages
    pages: list[bytes | None] = [data[start : start + 4096] for start in range(0, len(data), 4096)]
    pages[1] = None
    # records 11 to 20 lie in the hole, 10 and 21 partly
    assert len(logins(CachedFile(pages), "x86_64")) == 20
    for mutated in mutations([data[:3840]], cases()):
        assert len(logins(CachedFile([mutated[:4096]]), "x86_64")) <= 10


def test_paths() -> None:
    for path in ("/var/log/wtmp", "/var/log/btmp.1", "/run/utmp", "/var/log/wtmp-20261101"):
        assert is_utmp(path)
    assert not is_utmp("/usr/lib/systemd/systemd-update-utmp") and not is_utmp("/var/log/wtmp.log")
