# SPDX-License-Identifier: Apache-2.0
"""Every reason why a stream is not a whole image, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memir.evidence.judge import Verdict, stream_problems
from memir.evidence.records import NodeReceipt, Part, Stored

RECEIPT = NodeReceipt(0, 0, "a" * 64, 100, "done")
STORED = Stored("image.lime", 100, "a" * 64, (Part(1, 0, 60, ""), Part(2, 60, 40, "")), complete=True)


def test_nothing_wrong() -> None:
    assert stream_problems(RECEIPT, STORED) == []
    assert stream_problems(replace(RECEIPT, sha256="", size=None), STORED) == []
    assert stream_problems(RECEIPT, None) == []
    assert Verdict(()).coverage is None


@pytest.mark.parametrize(
    ("receipt", "stored", "words"),
    [
        (None, STORED, "the node's receipt never came"),
        (replace(RECEIPT, tool=1, log="no space\n"), STORED, "the tool's exit code is 1: no space"),
        (replace(RECEIPT, tool=None, log=""), STORED, "the tool's exit code is None: exit code None"),
        (replace(RECEIPT, consumer=7), STORED, "the node's sender ended with 7"),
        (RECEIPT, replace(STORED, missing=("part 2 is not there",)), "part 2 is not there"),
        (RECEIPT, replace(STORED, sha256="b" * 64), "the node sent SHA-256 aaaa"),
        (replace(RECEIPT, size=1000), STORED, "the node sent 1,000 bytes, stored are 100"),
        (RECEIPT, replace(STORED, parts=STORED.parts[:1]), "the parts do not add up"),
        (RECEIPT, replace(STORED, complete=False), "the store does not have all of it"),
    ],
)
def test_each_reason(receipt: NodeReceipt | None, stored: Stored, words: str) -> None:
    problems = stream_problems(receipt, stored)
    assert len(problems) == 1
    assert problems[0].startswith(words)


def test_the_tool_s_own_explanation() -> None:
    found = stream_problems(replace(RECEIPT, tool=3), STORED, lambda code, log: f"{code} means {log}")
    assert found == ["the tool's exit code is 3: 3 means done"]
