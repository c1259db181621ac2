# SPDX-License-Identifier: Apache-2.0
"""The control plane's logs, page after page."""

from __future__ import annotations

import gzip
import json

from memir.aws.fetch.cloudwatch import AUDIT, AUTHENTICATOR, GROUP, events
from tests.aws.fetch.account import AUTHENTICATOR as LINE
from tests.aws.fetch.account import BEGIN, CLUSTER, Account
from tests.aws.fetch.test_scope import scope


def test_the_audit_log(account: Account) -> None:
    asked = scope()
    pieces = list(AUDIT.pieces(asked))
    assert [piece.name for piece in pieces][:2] == [
        f"audit/audit-{BEGIN:%Y%m%dT%H}0500Z-{BEGIN:%Y%m%dT%H}1500Z.jsonl.gz",
        f"audit/audit-{BEGIN:%Y%m%dT%H}1500Z-{BEGIN:%Y%m%dT%H}3000Z.jsonl.gz",
    ]
    lines = [line for piece in pieces for line in gzip.decompress(b"".join(piece.blocks())).splitlines()]
    # those from --from on and before --to, each once, across pages of two and pieces of fifteen minutes
    assert [json.loads(json.loads(line)["message"])["auditID"] for line in lines] == [
        f"audit-{minutes}" for minutes in range(1, 60, 3)
    ]
    assert asked.unread == []


def test_the_authenticator(account: Account) -> None:
    pieces = list(AUTHENTICATOR.pieces(scope()))
    assert len(pieces) == 5
    (line,) = gzip.decompress(b"".join(pieces[0].blocks())).splitlines()
    assert json.loads(line)["message"] == LINE


def test_what_is_not_there(account: Account) -> None:
    account.groups = set()
    asked = scope()
    assert list(AUDIT.pieces(asked)) == []
    assert [each.why for each in asked.unread] == [
        f"there is no log group /aws/eks/{CLUSTER}/cluster: the control plane's logs were never on"
    ]
    off = scope()
    off.facts["logging"]["clusterLogging"] = []
    list(AUDIT.pieces(off))
    assert off.unread[0].why.startswith("the cluster does not send its audit log now")


def test_events(account: Account) -> None:
    asked = scope()
    found = list(events(asked, GROUP.format(CLUSTER), asked.window, logStreamNamePrefix="kube-apiserver-audit-"))
    assert len(found) == 20 and found[0]["eventId"] == str(found[0]["timestamp"])
