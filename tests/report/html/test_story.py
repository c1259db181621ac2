# SPDX-License-Identifier: Apache-2.0
"""The story of a real intruded node: by place, by time, every clause with its proof, and no more than was seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from memir.report.html.story import Chapter, place_of, story
from tests.findings.real import INTRUDED, every, node

HEAD: dict[str, Any] = {
    "node": "n", "clock": "22:17:55 UTC by the image's own clock", "coverage": "100.0 % of it", "whole": True,
    "gaps": [{"count": 3}, {"count": 4}], "clean": [1, 2], "unable": [1],
}  # fmt: skip


def words(sentence: list[Any]) -> str:
    return "".join(part if isinstance(part, str) else part[0] for part in sentence)


def told(findings: list[Any], head: dict[str, Any] = HEAD) -> list[Chapter]:
    tables = {
        name: table.to_pylist()
        for name, table in node(INTRUDED)[0].items()
        if name in ("pods", "containers", "sockets", "secrets")
    }
    return story(findings, tables, head)


def test_every_grave_finding_is_told_once_in_the_chapter_of_its_place() -> None:
    findings = every(INTRUDED)
    chapters = told(findings)
    assert chapters[0].title == "In short" and chapters[-1].title == "What this does not say"
    grave = [row for row in findings if row["severity"] in ("critical", "high", "medium")]
    links = {
        chapter.title: [part[1] for sentence in chapter.sentences for part in sentence if not isinstance(part, str)]
        for chapter in chapters[1:-1]
    }
    expected: dict[str, list[str]] = {}
    for row in grave:
        place = place_of(row)
        title = f"What happened {'on' if place == 'the node itself' else 'in'} {place}"
        expected.setdefault(title, []).append(f"#finding={row['id']}")
    assert {title: sorted(link for link in each if link.startswith("#finding")) for title, each in links.items()} == {
        title: sorted(each) for title, each in expected.items()
    }


def test_sentences_of_one_process_are_one_sentence() -> None:
    findings = [row for row in every(INTRUDED) if row["pid"] is not None and row["severity"] in ("high", "critical")]
    pid = max({row["pid"] for row in findings}, key=lambda pid: sum(row["pid"] == pid for row in findings))
    mine = [row for row in findings if row["pid"] == pid]
    assert len(mine) > 1
    sentences = [words(sentence) for chapter in told(mine) for sentence in chapter.sentences]
    (sentence,) = [each for each in sentences if f"pid {pid} " in each]
    assert sentence.count(f"pid {pid} ") == 1 and "; and " in sentence
    for row in mine:
        assert row["title"].rpartition(") ")[2][:60] in sentence or row["title"].partition(") ")[2][:60] in sentence


def test_nothing_is_said_of_nothing() -> None:
    first, last = told([])
    assert words(first.sentences[0]) == "In the memory of n nothing stands out of what was looked for."
    assert first.severity is None
    said = [words(sentence) for sentence in last.sentences]
    assert said[0] == "2 kinds of things that intruders do were looked for and not seen."
    assert said[1] == "1 kind could not be looked for, as a table was not read."
    assert said[2] == "2 kinds of things could not be read: what lay there is not in the tables."
    partly = [words(sentence) for sentence in told([], {**HEAD, "whole": False})[-1].sentences]
    assert partly[0].endswith("were not seen in the part of the RAM that is there, which proves nothing.")


def test_a_finding_without_pod_time_or_pid() -> None:
    row = {**every(INTRUDED)[0], "pid": None, "first_seen": None, "pod_uid": None, "pod_name": None, "namespace": None,
           "container_id": None, "container_name": None, "title": "x" * 400, "severity": "high"}  # fmt: skip
    chapter = told([row])[1]
    assert chapter.title == "What happened on the node itself" and chapter.severity == "high"
    assert words(chapter.sentences[0]) == "x" * 299 + "…."
    assert place_of({**row, "container_id": "ab" * 32}) == "container abababababab"
    early = {**row, "first_seen": datetime(2026, 1, 2, 3, 4, 5, 6, UTC)}
    assert "The earliest time among them is 2026-01-02 03:04:05 UTC" in words(told([early])[0].sentences[2])
