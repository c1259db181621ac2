# SPDX-License-Identifier: Apache-2.0
"""Audit events of auditd and of an API server: every line of a real server's log."""

from __future__ import annotations

import gzip
import json

from hypothesis import given
from hypothesis import strategies as st

from memir.kube.audit_log import audit_lines, is_audit_log
from memir.kube.cached_file import CachedFile
from memir.kube.log_line import microseconds
from tests.images import cases

AUDITD = b'type=USER_CMD msg=audit(1795472904.812:77): pid=1 uid=0 msg=\'cwd="/" cmd="id"\'\n'
EVENT = {
    "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a-1", "stage": "ResponseComplete", "verb": "create",
    "requestURI": "/api/v1/namespaces/shop/pods/web/exec?command=sh", "user": {"username": "eve"},
    "sourceIPs": ["10.0.2.2"], "responseStatus": {"code": 101}, "stageTimestamp": "2026-11-23T22:27:04.812801Z",
}  # fmt: skip


def file_of(data: bytes) -> CachedFile:
    return CachedFile([data[start : start + 4096] for start in range(0, len(data), 4096)])


def test_both_formats() -> None:
    one, two = audit_lines(file_of(AUDITD + json.dumps(EVENT).encode() + b'\n{"kind": "Pod"}\nnone\n{torn'))
    assert (one.time, one.sequence, one.fields) == (1_795_472_904_812_000, 77, ["type=USER_CMD"])
    assert one.text == 'pid=1 uid=0 msg=\'cwd="/" cmd="id"\''
    assert (two.time, two.text) == (1_795_472_824_812_801, "create /api/v1/namespaces/shop/pods/web/exec?command=sh")
    assert two.fields == ["user=eve", "code=101", "stage=ResponseComplete", "auditID=a-1", "sourceIPs=10.0.2.2"]


def test_a_real_server() -> None:
    for image in cases().values():
        path = image.beside("audit.log.gz")
        if path.is_file():
            data = gzip.decompress(path.read_bytes())
            events = [json.loads(line) for line in data.splitlines()]
            lines = audit_lines(file_of(data))
            assert [line.text for line in lines] == [f"{event['verb']} {event['requestURI']}" for event in events]
            assert [line.time for line in lines] == [microseconds(event["stageTimestamp"]) for event in events]


def test_paths() -> None:
    for path in ("/var/log/audit/audit.log", "/var/log/kubernetes/audit/kube-apiserver-audit.log", "/a/audit.log.1"):
        assert is_audit_log(path)
    assert not is_audit_log("/var/log/audit/README") and not is_audit_log("/var/log/x.log")


@given(st.lists(st.sampled_from([AUDITD, json.dumps(EVENT).encode(), b"{" * 3000, b"[1]", b'{"user": 1}']), max_size=9))
def test_any_lines(lines: list[bytes]) -> None:
    assert len(audit_lines(file_of(b"\n".join(lines)))) <= len(lines) * 2
