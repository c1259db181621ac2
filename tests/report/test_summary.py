# SPDX-License-Identifier: Apache-2.0
"""What `analyze` says first."""

from __future__ import annotations

from typing import Any

import pytest

from memir.report.summary import clock_words, collected_words, print_summary
from tests.report.test_tree import process, tables


def record(**values: Any) -> dict[str, Any]:
    return {
        "node": "ip-10-0-1-23", "kernel": {"release": "6.1.0", "arch": "x86_64", "paging_levels": 4},
        "evidence": {"image": "node.raw", "format": "raw", "ram_share": 1.0}, "coverage": "",
        "clock": "2026-01-02T03:04:05.500000+00:00", "gaps": [], **values,
    }  # fmt: skip


def test_a_whole_image(capsys: pytest.CaptureFixture[str]) -> None:
    finding = {"severity": "low", "kind": "memfd-executable", "title": "pid 7 \x1bx"}
    print_summary(record(), {**tables([process(1)]), "namespaces": [], "findings": [finding]})
    lines = capsys.readouterr().out.splitlines()
    assert lines[:6] == [
        "Node        ip-10-0-1-23",
        "Kernel      6.1.0 x86_64, 4-level paging",
        "Evidence    node.raw (raw)",
        "Taken       2026-01-02 03:04:05.500000 UTC by the image's own clock",
        "Not read    sockets, modules, hooks, bpf: nothing is said of what they would hold",
        "Counts      1 process (0 in containers, 0 kernel threads), 2 containers (1 exited, 1 running), 2 pods, "
        "0 namespaces",
    ]
    assert lines[7:9] == ["Findings: 1 low", "  low  memfd-executable: pid 7 \\ex"]  # before all else
    assert lines[-1] == "Gaps: none: everything that was looked for could be read"


def test_a_part_of_the_ram(capsys: pytest.CaptureFixture[str]) -> None:
    """The share comes first."""
    lacks = {"kind": "RAM", "where": "System RAM", "why": "bytes that the image lacks", "count": 50_200_590}
    gaps = [{"kind": "args", "where": "pid 1", "why": "page not in image", "count": 3}, lacks]
    evidence = {"image": "x", "format": "raw", "ram_share": 0.74999}
    part = record(evidence=evidence, coverage="75.0 % of the node's RAM is in the image", gaps=gaps, clock=None)
    hit = {"rule": "r", "owner": "file", "hit_id": "1", "pod_name": None, "container_id": None}
    print_summary(part, {**tables([]), "namespaces": [], "hits": [hit, hit]})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "RAM         75.0 % of the node's RAM is in the image"
    assert "Taken       not known" in lines
    assert "Hits (1)" in lines
    assert "       2  r in node (file)" in lines
    assert lines[-3:] == [
        "Gaps (2 kinds): what could not be read is not in the tables",  # kinds: bytes and items have no sum
        "       3  args: page not in image, e.g. pid 1",
        "  50,200,590  RAM: bytes that the image lacks, e.g. System RAM",
    ]
    print_summary({**part, "gaps": gaps[:1]}, {**tables([]), "namespaces": []})
    assert "Gaps (1 kind): what could not be read is not in the tables" in capsys.readouterr().out


def test_clock_words() -> None:
    assert clock_words(None) == "not known"
    assert clock_words("2026-01-02T03:04:05+02:00") == "2026-01-02 01:04:05 UTC by the image's own clock"


def test_a_collected_pod(capsys: pytest.CaptureFixture[str]) -> None:
    evidence = {"image": "/ev", "format": "collected pod", "ram_share": 1.0}
    made = record(kernel=None, evidence=evidence, node="node-1", clock="2026-11-29T12:00:00+00:00", gaps=[])
    print_summary(made, {**tables([process(7)]), "sockets": []})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Node        node-1: a collected pod: no kernel, nothing else of the node"
    assert lines[2] == f"Taken       {collected_words('2026-11-29T12:00:00+00:00')}"
    assert lines[2].endswith("2026-11-29 12:00:00 UTC by the clock of who collected it")
    assert collected_words(None) == "not known"


def test_hits_of_a_process_of_unknown_place(capsys: pytest.CaptureFixture[str]) -> None:
    hit = {"rule": "r", "owner": "process", "hit_id": "1", "pod_name": None, "container_id": None,
           "source": "page table; place of the process not known"}  # fmt: skip
    print_summary(record(), {**tables([]), "namespaces": [], "hits": [hit]})
    lines = capsys.readouterr().out.splitlines()
    assert "       1  r in place not known (process)" in lines


def test_runtime_words_name_the_document() -> None:
    from memir.report.summary import runtime_words

    assert runtime_words(None) == "not known"
    assert runtime_words("2026-11-29T13:14:13+00:00").endswith("13:14:13 UTC by the runtime's config.dump")
