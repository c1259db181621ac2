# SPDX-License-Identifier: Apache-2.0
"""Differences in a terminal: facts, kinds with their counts, marks, and what was not compared."""

from __future__ import annotations

from memir.case.diff import Diff, Difference
from memir.report.diff import diff_lines, values_line

KEY = {"namespace": "shop", "workload": "Deployment/api", "container": "api", "exe": "/bin/sh", "args": "sh -c x"}


def test_lines() -> None:
    result = Diff(
        {"node": ("a", "b"), "boot": (None, None), "kernel": ("6.1", "6.1")},
        (
            Difference("processes", "new", KEY, {}, {"uid": "0", "exe_deleted": "false"}, (0, 3)),
            Difference("processes", "gone", {"exe": "/x"}, {"uid": None}, {}, (1, 0)),
            Difference("processes", "changed", KEY, {"uid": "0"}, {"uid": ["0", "7"]}, (1, 2)),
        ),
        ("processes", "bpf"),
        {"findings": "new: no table findings"},
    )
    assert list(diff_lines(result)) == [
        "node          a -> b",
        "boot          not known",
        "kernel        6.1",
        "",
        "processes: 1 new, 1 gone, 1 changed",
        "  + shop/Deployment/api/api: /bin/sh sh -c x (3 times) [uid 0]",
        "  - the node: /x",
        "  ~ shop/Deployment/api/api: /bin/sh sh -c x [uid: 0 -> 0, 7]",
        "",
        "No difference: bpf",
        "Not compared: findings, new: no table findings",
    ]


def test_many_are_counted() -> None:
    many = tuple(Difference("files", "new", {"path": f"/{number}"}, {}, {}, (0, 1)) for number in range(40))
    lines = list(diff_lines(Diff({}, many, ("files",), {})))
    assert lines[1] == "files: 40 new" and lines[-2] == "  + ... and 15 more" and len(lines) == 29


def test_values_line() -> None:
    values = {"image": "api:1", "privileged": "true", "host_pid": "false", "seccomp": None, "uid": ["0", "7"]}
    assert values_line(values) == "image api:1; privileged true; uid 0, 7"
    assert values_line({}) == ""
