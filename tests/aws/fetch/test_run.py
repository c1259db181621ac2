# SPDX-License-Identifier: Apache-2.0
"""A whole run: to a folder that --logs reads, cut and gone on with, partly denied, to S3."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from memir.aws.fetch import cloudtrail
from memir.aws.fetch.run import SOURCES, chosen_sources, fetch_logs
from memir.aws.fetch.window import text
from memir.errors import AccessError, StorageError, UsageError
from memir.logs.source import LogSource
from tests.aws.fetch.account import BEGIN, CLUSTER, END, REGION, Account
from tests.aws.strict import Refused

TIMES: dict[str, Any] = {"begin": BEGIN.isoformat(), "end": END.isoformat()}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudtrail, "PAUSE", 0.0)


def _fetch(where: Any, **more: Any) -> Any:
    return fetch_logs(CLUSTER, where=str(where), **{**TIMES, **more})


def test_a_folder_that_logs_reads(account: Account, tmp_path: Path) -> None:
    said: list[str] = []
    fetched = _fetch(tmp_path / "logs", progress=lambda what, *_: said.append(what))
    assert (fetched.account, fetched.region, fetched.kept) == ("123456789012", REGION, 0)
    assert said == [f"fetching {source.what}" for source in SOURCES]
    source = LogSource([tmp_path / "logs"])
    assert source.tables == ("audit", "authenticator", "cloudtrail", "guardduty", "guardduty_claims", "sessions")
    assert {name: source.table(name).num_rows for name in ("audit", "authenticator", "cloudtrail", "guardduty")} == {
        "audit": 20, "authenticator": 1, "cloudtrail": 9, "guardduty": 1,
    }  # fmt: skip
    assert list(source.gaps) == []  # fetch.json is no log
    document = json.loads((tmp_path / "logs/fetch.json").read_text())
    assert (document["cluster"], document["from"], document["to"]) == (CLUSTER, text(BEGIN), text(END))
    for file in document["files"]:
        data = (tmp_path / "logs" / file["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["size"], file["sha256"])
    assert {each.source for each in fetched.unread} == {"cloudtrail", "flowlogs"}


def test_going_on(account: Account, tmp_path: Path) -> None:
    """The credentials end in the middle; the second run asks for what is missing alone, up to the same end."""
    whole = account.strict.services["logs"]["FilterLogEvents"]
    asked: list[dict[str, Any]] = []

    def ending(params: dict[str, Any]) -> dict[str, Any]:
        asked.append(params)
        if len(asked) == 8:
            raise Refused("ExpiredTokenException", 400, "The security token included in the request is expired")
        return whole(params)

    account.strict.services["logs"]["FilterLogEvents"] = ending
    with pytest.raises(AccessError, match="the AWS session is no longer valid"):
        _fetch(tmp_path / "logs")
    record = json.loads((tmp_path / "logs/fetch.json").read_text())
    assert (record["finished"], len(record["files"])) == ("", 2)
    account.strict.services["logs"]["FilterLogEvents"] = whole
    account.strict.calls.clear()
    fetched = _fetch(tmp_path / "logs", end=None)
    assert (fetched.end, fetched.kept) == (text(END), 2)
    begins = [params["startTime"] for _, name, params in account.strict.calls
              if params.get("logStreamNamePrefix") == "kube-apiserver-audit-"]  # fmt: skip
    assert asked[7]["startTime"] in begins and asked[1]["startTime"] not in begins
    assert LogSource([tmp_path / "logs/audit"]).table("audit").num_rows == 20
    assert len(json.loads((tmp_path / "logs/fetch.json").read_text())["files"]) == len(fetched.files)
    # and a third one has nothing to do
    third = _fetch(tmp_path / "logs")
    assert (third.new, third.kept) == (0, len(fetched.files))
    for other in ({"begin": (BEGIN - timedelta(hours=1)).isoformat()}, {"node": "i-0123456789abcdef0"}):
        with pytest.raises(UsageError, match="give another place with -o"):
            _fetch(tmp_path / "logs", **other)


def test_what_may_still_grow_is_asked_for_again(account: Account, tmp_path: Path) -> None:
    now = text(datetime.now(UTC))
    first = _fetch(tmp_path / "logs", end=now, only=["authenticator"])
    again = _fetch(tmp_path / "logs", end=now, only=["authenticator"])
    assert first.new > again.new >= 1
    assert again.new + again.kept == first.new


def test_denied(account: Account, tmp_path: Path) -> None:
    account.strict.denied = {"guardduty:ListDetectors", "logs:FilterLogEvents"}
    fetched = _fetch(tmp_path / "logs", only=["audit", "guardduty", "cloudtrail"])
    assert {each.source for each in fetched.unread if each.denied} == {"audit", "guardduty"}
    assert "logs:FilterLogEvents is denied on log group /aws/eks/lab/cluster" in fetched.unread[0].why
    with pytest.raises(AccessError, match=r"nothing could be fetched.*--permissions"):
        _fetch(tmp_path / "none", only=["audit", "guardduty"])
    with pytest.raises(UsageError, match="there is no cluster"):
        fetch_logs("other", where=str(tmp_path / "x"), **TIMES)
    assert not (tmp_path / "x").exists()


def test_a_full_disk_ends_the_run(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/fetch.json").write_text(json.dumps(_fetch(tmp_path / "a", only=["guardduty"]).document()))
    (tmp_path / "logs/audit").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        _fetch(tmp_path / "logs")


def test_to_s3(account: Account) -> None:
    s3 = boto3.Session().client("s3")
    s3.create_bucket(Bucket="fetched", CreateBucketConfiguration={"LocationConstraint": REGION})
    fetched = _fetch("s3://fetched/case", only=["audit"])
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket="fetched")["Contents"]}
    assert keys == {"case/fetch.json", *(f"case/{name}" for name in fetched.files)}
    assert _fetch("s3://fetched/case", only=["audit"]).kept == 5


def test_chosen_sources() -> None:
    assert [source.name for source in chosen_sources(["guardduty", "audit"])] == ["audit", "guardduty"]
    assert chosen_sources([]) == SOURCES
    with pytest.raises(UsageError, match="there are audit, authenticator, cloudtrail, guardduty, flowlogs"):
        chosen_sources(["all"])
