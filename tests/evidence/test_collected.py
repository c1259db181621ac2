# SPDX-License-Identifier: Apache-2.0
"""When a collection is whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memir.evidence.collected import (
    CollectedGap,
    CollectedPod,
    Collection,
    collection_problems,
    cut_files,
    of_node,
    refused_alone,
)

POD = CollectedPod("shop", "web", "11111111-2222-3333-4444-555555555555", "node-1", asked_api=True)
WHOLE = Collection(POD, 0, 2, 2, 100, 1, 0.5, memory=True, rootfs=False)
NAMES = ["api/pod.json", "node/a", "clear/b", "node/collector.json", "node/containers/c/upper.files.jsonl"]


def test_whole() -> None:
    assert collection_problems(WHOLE, NAMES) == []
    mere = replace(WHOLE, gaps=(CollectedGap("process", "pid 7", "ended while it was read"),))
    assert collection_problems(mere, NAMES) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sent": None}, "the node's last line never came: the stream was cut, or the node stopped"),
        ({"exit_code": 69}, "the collector on the node ended with 69"),
        ({"exit_code": None}, "the collector on the node ended with None"),
        ({"sent": 3}, "the node sent 3 files, 2 are stored"),
        ({"gaps": (CollectedGap("memory", "pid 7", "Permission denied", 2, missing=True),)},
         "memory pid 7: Permission denied (2 times)"),
    ],
)  # fmt: skip
def test_not_whole(change: dict[str, object], words: str) -> None:
    assert collection_problems(replace(WHOLE, **change), NAMES) == [words]  # type: ignore[arg-type]


def test_files_that_nobody_recorded() -> None:
    assert collection_problems(WHOLE, ["api/pod.json", "node/a"]) == ["2 files came from the node, 1 are recorded"]


def test_what_came_from_the_node_and_what_was_cut() -> None:
    assert [name for name in NAMES if of_node(name)] == ["node/a", "clear/b"]
    cut = replace(WHOLE, gaps=(CollectedGap("file", "node/a", "not whole"), CollectedGap("memory", "pid 7", "gone")))
    assert set(cut_files(cut)) == {"node/a"}
    assert not cut_files(None)


def test_what_the_kernel_refused_alone() -> None:
    refused = CollectedGap("memory, environment, open files", "pid 7", "runs as user 0 ... without SYS_PTRACE", 1, True)
    assert refused_alone(replace(WHOLE, gaps=(refused, CollectedGap("file", "/root", "Permission denied", 1, True))))
    assert not refused_alone(replace(WHOLE, gaps=(refused, CollectedGap("log", "web", "timed out", missing=True))))
    assert not refused_alone(replace(WHOLE, gaps=(refused,), sent=None))
