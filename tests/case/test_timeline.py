# SPDX-License-Identifier: Apache-2.0
"""Events of a case: each leads back to its row, with that row's time; nothing with a time is left out."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import memir
from memir.case.case import Case
from memir.case.query import query
from memir.case.store import table_path, write_table
from memir.case.timeline import COLUMNS, EVENTS, KINDS, NOTES, WORDS, check_pod, missing, of_pod, timeline
from memir.errors import CaseError, UsageError
from tests.case.test_case import ANALYSIS, ONE, processes
from tests.fuzz import cases
from tests.images import case as image_case

POD = "dev/miner-0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("timeline") / "case"
    with memir.open(str(image_case("s-6.12-intruded").image)) as node:
        node.save(folder)
    return folder


def test_every_event_leads_back_to_a_row_of_its_time(folder: Path) -> None:
    events = timeline(folder)
    assert events.columns == COLUMNS
    assert Case(folder).timeline(pod=POD).rows == [row for row in events.rows if row[4] == "miner-0"]
    column = {event.kind: event.time for event in EVENTS}
    seen: Counter[str] = Counter()
    asked: list[tuple[str, str]] = []
    wanted: list[tuple[str, str, tuple[Any, ...]]] = []
    for time, kind, _text, namespace, pod, container, table, key in events.rows:
        seen[kind] += 1
        if seen[kind] > cases(20, 1_000_000):  # of each kind the first ones; in the long run all
            continue
        asked.append((table, f"select {len(wanted)} as n, {column[kind]}, namespace, pod_name, container_name "
                             f"from {table} where {key}"))  # fmt: skip
        wanted.append((kind, key, (time, namespace, pod, container)))
    answers: dict[int, list[tuple[Any, ...]]] = {number: [] for number in range(len(wanted))}
    asked.sort()  # a question for many rows of a table: each opens the case anew
    for first in range(0, len(asked), 200):
        for row in query(folder, " union all ".join(sql for _, sql in asked[first : first + 200])).rows:
            answers[row[0]].append(row[1:])
    for number, (kind, key, row) in enumerate(wanted):
        assert row in answers[number], (kind, key)
        assert kind == "log" or len(answers[number]) == 1, (kind, key)
    assert [row[0] for row in events.rows] == sorted(row[0] for row in events.rows)


def test_lines_of_one_instant_are_in_the_order_of_their_log(folder: Path) -> None:
    booted = [row[2] for row in timeline(folder, kinds=["log"]).rows if row[2].startswith("kernel: ")]
    written = query(folder, "select text from log where origin = 'kernel' and text is not null order by time, sequence")
    assert len(booted) > 100 and booted == [f"kernel: {text}" for (text,) in written.rows]
    assert booted[0].startswith("kernel: Linux version 6.12")


def test_whatever_has_a_time_is_an_event(folder: Path) -> None:
    count = Counter(row[1] for row in timeline(folder).rows)
    for event in EVENTS:
        sql = f"select count(*) from {event.table} where {event.time} is not null and ({event.where})"
        assert count[event.kind] == query(folder, sql).rows[0][0], event.kind
    assert {"process-start", "log", "finding", "file-created"} <= {kind for kind, number in count.items() if number}
    assert missing(folder) == {}


def test_what_an_intruder_did_in_its_order(folder: Path) -> None:
    texts = [(row[1], row[2]) for row in timeline(folder, pod=POD).rows]
    start = texts.index(("process-start", "pid 240 dropper: /tmp/.d/dropper run"))
    assert ("finding", "high deleted-executable: pid 240 dropper (dev/miner-0/miner) runs /tmp/dropper, which has been "
            "deleted") in texts[:start]  # fmt: skip
    assert {row[4] for row in timeline(folder, pod="miner-0").rows} == {"miner-0"}


def test_limits_and_kinds(folder: Path) -> None:
    every = timeline(folder, kinds=("process-start",)).rows
    middle = every[len(every) // 2][0]
    before = timeline(folder, kinds=("process-start",), end=middle).rows
    after = timeline(folder, kinds=("process-start",), begin=middle).rows
    assert before + after == every
    assert {row[1] for row in every} == {"process-start"}
    assert timeline(folder, begin=datetime(2100, 1, 1, tzinfo=UTC)).rows == []
    same = middle.astimezone(UTC) + timedelta(0)
    assert timeline(folder, kinds=("process-start",), begin=same).rows == after


def test_what_is_not_there_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^kind 'x': there are process-start, container-start,"):
        timeline(folder, kinds=("x",))
    with pytest.raises(UsageError, match=r"^pod 'dev/x' is not in the case; it has dev/miner-0, "):
        timeline(folder, pod="dev/x")
    with pytest.raises(UsageError, match="is not in the case"):
        timeline(folder, pod="' or true --")
    Case.create(tmp_path / "case").add_tables({"processes": processes(1)}, ANALYSIS, ONE)
    assert missing(tmp_path / "case")["log"] == ["log", "login"]
    with pytest.raises(CaseError, match=r"has no table with times of these kinds: `memir analyze IMAGE -o "):
        timeline(tmp_path / "case", kinds=("log",))


def test_hostile_words_stay_words(folder: Path, tmp_path: Path) -> None:
    """A log's path or text may hold quotes: they neither end the key nor the question."""
    path, text = "/var/log/a' or 'b'='b", "it's \x1b[2J\n=cmd()"
    names = query(folder, "select * from log limit 0").columns
    row = dict.fromkeys(names) | {"time": datetime(2026, 1, 1, tzinfo=UTC), "origin": "container", "path": path,
                                  "text": text, "sequence": 7}  # fmt: skip
    Case.create(tmp_path / "case").add_tables({"processes": processes(1)}, ANALYSIS, ONE)
    write_table(pa.Table.from_pylist([row], Case(folder)["log"].schema), table_path(tmp_path / "case", "log"))
    (event,) = timeline(tmp_path / "case", kinds=("log",)).rows
    assert event[2] == f"container: {text}"
    assert query(tmp_path / "case", f"select path from log where {event[7]}").rows == [(path,)]


def test_who_is_let_in_by_sshd_is_a_login(folder: Path, tmp_path: Path) -> None:
    """What it writes to the journal; the same words in a container's log, and what looks alike, stay lines of a log."""
    let_in = "Accepted publickey for root from 10.0.2.2 port 36328 ssh2: ED25519 SHA256:pk++V9gx"
    lines = [("journal", let_in), ("container", let_in), ("journal", "Accepted connection from 10.0.2.2"),
             ("journal", f"said {let_in}"), ("login", "login process LOGIN ttyS0")]  # fmt: skip
    blank = dict.fromkeys(query(folder, "select * from log limit 0").columns)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        blank | {"time": start + timedelta(0, number), "origin": origin, "text": text, "sequence": number}
        for number, (origin, text) in enumerate(lines)
    ]
    Case.create(tmp_path / "case").add_tables({"processes": processes(1)}, ANALYSIS, ONE)
    write_table(pa.Table.from_pylist(rows, Case(folder)["log"].schema), table_path(tmp_path / "case", "log"))
    told = [row[2] for row in timeline(tmp_path / "case", kinds=("login",)).rows]
    assert told == [let_in, "login process LOGIN ttyS0"]
    assert [row[2] for row in timeline(tmp_path / "case", kinds=("log",)).rows] == [
        f"container: {let_in}", "journal: Accepted connection from 10.0.2.2", f"journal: said {let_in}",
    ]  # fmt: skip


def test_each_kind_has_plasos_word() -> None:
    assert tuple(WORDS) == KINDS
    assert set(WORDS.values()) <= {"Start Time", "End Time", "Creation Time", "Deletion Time", "Content Time",
                                   "Content Modification Time", "Metadata Modification Time", "Event Time"}  # fmt: skip


def test_check_pod_and_of_pod() -> None:
    pods = pa.table({"namespace": ["dev"], "pod_name": ["miner-0"], "pod_uid": ["u-1"]})
    for name in ("miner-0", "dev/miner-0", "u-1"):
        check_pod({"pods": pods}, name)
        assert of_pod(name).startswith("(pod_name = '")
    with pytest.raises(UsageError, match=r"^pod 'shop/miner-0' is not in the case; it has dev/miner-0$"):
        check_pod({"pods": pods}, "shop/miner-0")
    assert of_pod("a/b'c") == "(pod_name = 'b''c' or pod_uid = 'b''c') and namespace = 'a'"
    assert set(NOTES) <= set(KINDS)
