# SPDX-License-Identifier: Apache-2.0
"""`memir fetch-logs`: what is typed, what is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.aws.fetch import cloudtrail
from memir.cli import fetch_logs
from tests.aws.fetch.account import BEGIN, CLUSTER, END, Account, _iso
from tests.aws.fetch.conftest import account, aws  # noqa: F401  (fixtures)
from tests.cli.conftest import Memir, registered

OPTIONS = ("--cluster-name", CLUSTER, "--from", BEGIN.isoformat(), "--to", END.isoformat())


def test_fetch_logs(
    memir: Memir, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in: Account = request.getfixturevalue("account")
    monkeypatch.setattr(cloudtrail, "PAUSE", 0.0)
    place = tmp_path / "logs"
    ran = memir("fetch-logs", *OPTIONS, "-o", place)
    assert (ran.code, ran.err) == (4, "")
    lines = ran.out.splitlines()
    assert lines[0] == f"{place}: cluster lab, {_iso(BEGIN)} to {_iso(END)}, account 123456789012"
    assert lines[1].startswith("audit: 5 files, ") and lines[6] == "13 files are new, 0 were there"
    assert "not read: flowlogs: " in ran.out
    assert lines[-1] == f"memir analyze IMAGE -o CASE --logs {place}"
    again = memir("fetch-logs", *OPTIONS, "-o", place, "--only", "audit,guardduty")
    assert (again.code, "0 files are new, 6 were there" in again.out) == (0, True)
    stand_in.strict.denied = {"guardduty:ListDetectors"}
    denied = memir("fetch-logs", *OPTIONS, "-o", tmp_path / "denied", "--only", "audit,guardduty")
    assert denied.code == 4 and "guardduty:ListDetectors is denied" in denied.out and "--permissions" in denied.out
    document = memir("fetch-logs", *OPTIONS, "-o", place, "--only", "audit", "--json").json()
    assert (document["new"], document["kept"], document["cluster"]) == (0, 5, CLUSTER)


def test_usage(memir: Memir, tmp_path: Path) -> None:
    assert "--permissions prints what it needs" in memir("fetch-logs").err and memir("fetch-logs").code == 2
    wrong = memir("fetch-logs", *OPTIONS, "-o", tmp_path, "--only", "all")
    assert (wrong.code, "there are audit, authenticator" in wrong.err) == (2, True)
    printed = memir("fetch-logs", "--permissions", "--only", "audit", "--cluster-name", "lab")
    assert (printed.code, '"logs:FilterLogEvents"' in printed.out) == (0, True)
    actions = memir("fetch-logs", "--permissions", "--only", "guardduty", "--json").json()["Statement"][1]["Action"]
    assert actions == ["guardduty:GetFindings", "guardduty:ListDetectors", "guardduty:ListFindings"]


def test_register() -> None:
    assert registered(fetch_logs) == ["fetch-logs"]
