# SPDX-License-Identifier: Apache-2.0
"""The incident in plain sentences, each with links to the findings and rows that say so.

A sentence is a list of parts; a part is a text, or a text with the place in the page that proves it. Nothing is said
that no row says: what is joined here is only put in order (by pod, by time).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memir.findings.finding import SEVERITIES, short
from memir.report.cells import moment
from memir.report.findings import ALERT

Row = Mapping[str, Any]
Part = str | tuple[str, str]
Sentence = list[Part]
_GRAVE = ("critical", "high", "medium")
"""Severities that the story tells; the others are counted."""
NODE = "the node itself"
_MOST = 6
"""Things of one kind that a sentence names; the rest is counted."""


@dataclass
class Chapter:
    """A heading with its sentences. severity: the worst that is told in it, for its mark."""

    title: str
    severity: str | None = None
    sentences: list[Sentence] = field(default_factory=list)


def story(findings: Sequence[Row], tables: Mapping[str, Sequence[Row]], head: Mapping[str, Any]) -> list[Chapter]:
    """Chapters of a case: in short, each place with something grave in it, what was not seen.

    findings: rows of the table, the worst first. tables: rows of pods, containers, sockets, secrets, as far as there
    are. head: node, clock, coverage, gaps, clean and unable of the page.
    """
    places = _places(findings)
    told = [_chapter(place, rows, tables) for place, rows in places]
    return [_short(findings, places, tables, head), *told, _limits(findings, head)]


def place_of(row: Row) -> str:
    """Where a row is: namespace/pod, a container without a pod, or the node."""
    if row["pod_name"] or row["pod_uid"]:
        return "/".join(part for part in (row["namespace"], row["pod_name"] or row["pod_uid"]) if part)
    if row["container_id"]:
        return f"container {row['container_id'][:12]}"
    return NODE


def _places(findings: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Findings that are told, by place: the place with the worst and then the earliest of them first."""
    grouped: dict[str, list[Row]] = {}
    for row in findings:
        if row["severity"] in _GRAVE:
            grouped.setdefault(place_of(row), []).append(row)

    def rank(item: tuple[str, list[Row]]) -> tuple[bool, int, int, str]:
        alert = any(row["kind"] == ALERT for row in item[1])  # what one was called for comes first
        worst = max(SEVERITIES.index(row["severity"]) for row in item[1])
        number = sum(SEVERITIES.index(row["severity"]) == worst for row in item[1])
        return not alert, -worst, -number, item[0]

    return sorted(grouped.items(), key=rank)


def _short(
    findings: Sequence[Row], places: Sequence[tuple[str, Any]], tables: Mapping[str, Any], head: Mapping[str, Any]
) -> Chapter:
    chapter = Chapter("In short")
    counts = Counter(row["severity"] for row in findings)
    words = [f"{counts[severity]} {severity}" for severity in reversed(SEVERITIES) if counts[severity]]
    node = head["node"] or "a node whose name is not known"
    if words:
        chapter.severity = findings[0]["severity"]
        chapter.sentences.append(
            [
                f"In the memory of {node} ",
                (f"{_number(len(findings), 'finding')}: {', '.join(words)}", "#findings"),
                " stand out." if len(findings) > 1 else " stands out.",
            ]
        )
    else:
        chapter.sentences.append(
            [f"In the memory of {node} nothing stands out of ", ("what was looked for", "#limits"), "."]
        )
    if places:
        names: list[Part] = []
        for index, (place, rows) in enumerate(places[:_MOST]):
            separator = "" if index == 0 else ", " if index < min(len(places), _MOST) - 1 else " and "
            names += [separator, (place, f"#finding={rows[0]['id']}")]
        more = len(places) - _MOST
        if more > 0:
            names[-2] = ", "
        chapter.sentences.append(
            ["The grave ones are in ", *names, f" and {_number(more, 'more place')}." if more > 0 else "."]
        )
    times = sorted(row["first_seen"] for row in findings if row["first_seen"] and row["severity"] in _GRAVE)
    if times:
        chapter.sentences.append(
            [
                "The earliest time among them is ",
                (f"{moment(times[0].replace(microsecond=0))} UTC", "#timeline"),
                f"; the memory was taken at {head['clock']}.",
            ]
        )
    pods, containers = tables.get("pods"), tables.get("containers")
    if pods is not None and containers is not None:
        chapter.sentences.append(
            [
                "On the node there are ",
                (f"{_number(len(pods), 'pod')} with {_number(len(containers), 'container')}", "#map"),
                f", those that have ended but are still in memory counted. {head['coverage']}.",
            ]
        )
    return chapter


def _chapter(place: str, rows: Sequence[Row], tables: Mapping[str, Sequence[Row]]) -> Chapter:
    chapter = Chapter(f"What happened {_in(place)}", max((row["severity"] for row in rows), key=SEVERITIES.index))
    pod_uid = rows[0]["pod_uid"]
    if pod_uid:
        chapter.sentences += _pod(pod_uid, tables)
    for group in _by_subject(rows):
        chapter.sentences.append(_told(group))
    if pod_uid:
        chapter.sentences += _talks(pod_uid, tables) + _held(pod_uid, tables)
    steps: list[str] = []
    for row in rows:
        steps += [step for step in (row["check_next"] or ())[:1] if step not in steps]
    if steps:
        chapter.sentences.append([f"To look at next: {'; '.join(steps[:4])}."])
    return chapter


def _in(place: str) -> str:
    return f"on {place}" if place == NODE else f"in {place}"


def _by_subject(rows: Iterable[Row]) -> list[list[Row]]:
    """Findings about one process (or one other thing) together, in the order of time."""
    grouped: dict[Any, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["first_seen"] is None, row["first_seen"] or 0, row["id"])):
        grouped.setdefault(("pid", row["pid"]) if row["pid"] is not None else row["id"], []).append(row)
    return list(grouped.values())


def _told(group: Sequence[Row]) -> Sentence:
    """`At 22:27:43 pid 1176 kworkerds runs ..., has ..., and looks like ...`: each clause links to its finding."""
    first = group[0]
    sentence: Sentence = [f"At {moment(first['first_seen'])[11:19]}: " if first["first_seen"] else ""]
    subject, clauses = _split(group)
    if subject:
        sentence.append(f"{subject} ")
    for index, (row, clause) in enumerate(zip(group, clauses, strict=True)):
        separator = "" if index == 0 else "; " if index < len(group) - 1 else "; and "
        sentence += [separator, (short(clause), f"#finding={row['id']}")]
    sentence.append(".")
    return sentence


def _split(group: Sequence[Row]) -> tuple[str, list[str]]:
    """What the titles of findings about one process begin with alike (`pid 7 sh (ns/pod/container)`), and the rest."""
    titles = [row["title"] for row in group]
    head, mark, _ = titles[0].partition(") ")
    start = f"{head}{mark}"
    if (
        group[0]["pid"] is None
        or not mark
        or not head.startswith("pid ")
        or any(not t.startswith(start) for t in titles)
    ):
        return "", titles
    subject, _, place = start.strip()[:-1].rpartition(" (")
    container = place.rpartition("/")[2]
    where = f" (container {container})" if group[0]["container_name"] == container and subject else ""
    return f"{subject}{where}", [title[len(start) :] for title in titles]


def _pod(pod_uid: str, tables: Mapping[str, Sequence[Row]]) -> list[Sentence]:
    for number, pod in enumerate(tables.get("pods", ())):
        if pod["pod_uid"] == pod_uid:
            facts = [f"belongs to {pod['owner']}"] if pod["owner"] else []
            facts += [f"runs as service account {pod['service_account']}"] if pod["service_account"] else []
            facts += [f"may take the IAM role {pod['iam_role']}"] if pod["iam_role"] else []
            facts += ["shares the node's network"] if pod["host_network"] else []
            images = sorted(
                {
                    row["image"]
                    for row in tables.get("containers", ())
                    if row["pod_uid"] == pod_uid and row["image"] and row["kind"] != "sandbox"
                }
            )
            facts += [f"is of the image{'s' * (len(images) != 1)} {', '.join(images)}"] if images else []
            return [[("The pod", f"#table=pods&row={number}"), f" {'; '.join(facts)}."]] if facts else []
    return []


def _talks(pod_uid: str, tables: Mapping[str, Sequence[Row]]) -> list[Sentence]:
    """With whom the pod is connected."""
    peers: dict[str, int] = {}
    for number, row in enumerate(tables.get("sockets", ())):
        if row["pod_uid"] == pod_uid and row["remote_port"] and row["state"] in ("ESTABLISHED", "established"):
            name = row["remote_name"] or row["remote"]
            kind = f"{row['remote_kind']} " if row["remote_kind"] else ""
            peers.setdefault(f"{kind}{name} port {row['remote_port']}", number)
    return [_links("Connections of the pod that were open: ", peers, "sockets")] if peers else []


def _held(pod_uid: str, tables: Mapping[str, Sequence[Row]]) -> list[Sentence]:
    """What secrets the pod had in memory, and what they open."""
    held: dict[str, int] = {}
    for number, row in enumerate(tables.get("secrets", ())):
        if row["pod_uid"] == pod_uid:
            name = f" {row['name']}" if row["name"] else ""
            opened = [row["opens"]] if isinstance(row["opens"], str) else row["opens"] or []
            opens = f", which opens {' and '.join(opened)}" if opened else ""
            held.setdefault(f"{row['kind']}{name}{opens}", number)
    return (
        [_links("Secrets that it had in memory, and whoever was in it could read: ", held, "secrets")] if held else []
    )


def _links(words: str, things: Mapping[str, int], table: str) -> Sentence:
    sentence: Sentence = [words]
    for index, (text, row) in enumerate(list(things.items())[:_MOST]):
        sentence += ["" if index == 0 else "; ", (short(text), f"#table={table}&row={row}")]
    more = len(things) - _MOST
    sentence.append(f"; and {more} more." if more > 0 else ".")
    return sentence


def _limits(findings: Sequence[Row], head: Mapping[str, Any]) -> Chapter:
    chapter = Chapter("What this does not say")
    small = sum(row["severity"] not in _GRAVE for row in findings)
    if small:
        words = f"{_number(small, 'more finding')} of low severity or for information"
        chapter.sentences.append([(words, "#findings"), f" {'is' if small == 1 else 'are'} not told here."])
    if head["clean"]:
        number = _number(len(head["clean"]), "kind")
        chapter.sentences.append(
            [
                (f"{number} of things that intruders do", "#limits"),
                " were looked for and not seen."
                if head["whole"]
                else " were not seen in the part of the RAM that is there, which proves nothing.",
            ]
        )
    if head["unable"]:
        chapter.sentences.append(
            [(_number(len(head["unable"]), "kind"), "#limits"), " could not be looked for, as a table was not read."]
        )
    if head["gaps"]:  # each kind has its own unit: bytes, pages and rows do not add up
        chapter.sentences.append(
            [
                (f"{_number(len(head['gaps']), 'kind')} of things could not be read", "#limits"),
                ": what lay there is not in the tables.",
            ]
        )
    chapter.sentences.append(
        ["A finding is no verdict: each says what looks the same and is harmless, and what it misses."]
    )
    return chapter


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
