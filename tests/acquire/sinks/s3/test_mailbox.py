# SPDX-License-Identifier: Apache-2.0
"""Messages through a real bucket, the node's side done by hand."""

from __future__ import annotations

import urllib.request
from typing import Any

from memir.acquire.sinks.s3.mailbox import Mailbox
from memir.aws.address import S3Address


def put(url: str, body: bytes) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")) as answer:
        assert answer.status == 200


def test_a_letter_is_answered_and_opens_the_next_slot(s3: Any, bucket: str) -> None:
    box = Mailbox(s3, S3Address(bucket, "case"), "r1")
    word, slot, want, grant = box.invitation(0).split(" ")
    assert (word, slot, box.key(0, "want")) == ("M", "0", "case/.memir-r1/0.want")
    assert box.receive() is None
    put(want, b"W 1 5 aa 0\nW 2 5 bb 0")
    assert box.receive() == ["W 1 5 aa 0", "W 2 5 bb 0"]
    box.answer(["1 0 http://x"])
    with urllib.request.urlopen(grant) as answer:
        first, second = answer.read().decode().splitlines()
    assert (first, second.split(" ")[:2], box.slot) == ("1 0 http://x", ["M", "1"], 1)
    # another controller finds the slot that the node waits at
    other = Mailbox(s3, S3Address(bucket, "case"), "r1")
    other.find()
    assert other.slot == 1
    put(second.split(" ")[2], b"late")
    assert other.close() == []
    assert s3.list_objects_v2(Bucket=bucket).get("Contents", []) == []


def test_what_cannot_be_removed_is_said(s3: Any, bucket: str, shim: Any) -> None:
    box = Mailbox(s3, S3Address(bucket, ""), "r1")
    box.answer([])
    shim.deny.add("s3:DeleteObject")
    assert box.close() == [".memir-r1/0.grant"]
