# SPDX-License-Identifier: Apache-2.0
"""Values as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from memir.report.cells import CAPABILITIES, capabilities, cell, duration, moment, time_words


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0, "none"),
        (1, "chown"),
        ((1 << 41) - 1, "all"),
        ((1 << 38) - 1, "all"),
        ((1 << 41) - 1 - (1 << 13), "all but net_raw"),
        (0xA80425FB, "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot "
                     "mknod audit_write setfcap"),
        (1 << 45, "capability 45"),
    ],
)  # fmt: skip
def test_capabilities(bits: int, words: str) -> None:
    assert capabilities(bits) == words


def test_names_of_capabilities_are_the_kernels() -> None:
    assert len(CAPABILITIES) == 41
    assert (CAPABILITIES[21], CAPABILITIES[19], CAPABILITIES[39]) == ("sys_admin", "sys_ptrace", "bpf")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("pid", 17, "17"),
        ("pid", None, ""),
        ("state", "S", "S sleeping"),
        ("state", "running", "running"),
        ("seccomp", 2, "filter"),
        ("seccomp", 9, "9"),
        ("cap_effective", 1 << 21, "sys_admin"),
        ("cap_effective", "odd", "odd"),
        ("task", 0xFFFF888000001000, "0xffff888000001000"),
        ("args", ["sh", "-c", None], "sh -c "),
        ("data", b"\xff\n", "\\xff\n"),
        ("exe_deleted", True, "True"),
        ("start_time", datetime(2026, 1, 2, 3, 4, 5, 120034, tzinfo=UTC), "2026-01-02 03:04:05.120034"),
        ("n", 1.5, "1.5"),
    ],
)
def test_cell(column: str, value: Any, words: str) -> None:
    assert cell(column, value) == words


def test_moment_is_utc() -> None:
    assert moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-02 01:04:05"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.9, "59 s"), (185, "3 min 5 s"), (3600, "1 h"), (4 * 3600 + 720, "4 h 12 min"),
     (2 * 86400 + 3 * 3600, "2 d 3 h"), (-5, "-5 s")],
)  # fmt: skip
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_records_time_is_in_words() -> None:
    assert time_words("2026-11-20T10:03:42.668000000Z") == "2026-11-20 10:03:42.668000 UTC"
    assert time_words("2026-11-20T12:03:42+02:00") == "2026-11-20 10:03:42 UTC"
