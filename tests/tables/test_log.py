# SPDX-License-Identifier: Apache-2.0
"""The kernel's log: from its first line, which names the kernel, without a hole, in the order of time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from memir.gaps import Gaps
from memir.kernel import timekeeping
from memir.kernel.engine import Kernel
from memir.kube.log_files import LogFile
from memir.kube.owner import NODE
from memir.kube.ram import RamSource
from memir.tables import log
from memir.tables.log import COLUMNS, TABLE, read
from tests.images import case
from tests.kube.test_journal import expected, file_of, journal

NodeOf = Callable[[str], RamSource]


def test_lines(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    rows = [row for row in TABLE.read(node).rows() if row["origin"] == "kernel"]
    raw = case(image).raw_truth()
    small = case(image).small
    texts = [row["text"] for row in rows]
    banner = (raw["sys"]["version"] if small else raw["banner"]).strip()
    assert any(text == banner for text in texts[:3])
    cmdline = (raw["sys"]["cmdline"] if small else raw["cmdline"]).strip()
    assert any(text and text.endswith(cmdline) for text in texts)
    assert [row["sequence"] for row in rows] == list(range(len(rows))) and len(rows) > 200
    # each processor stamps with its own clock, which an emulated one sets a second late while it starts
    stamps = [row["since_boot"] for row in rows]
    assert all(later - before > -2 * 10**9 for before, later in pairwise(stamps))
    assert not [gap for gap in node.gaps if gap.kind == "kernel log"]


def test_times_levels_and_devices(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    rows = [row for row in TABLE.read(node).rows() if row["origin"] == "kernel"]
    now = timekeeping.wall_clock(node.kernel)
    assert now is not None
    taken = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now // 1000)
    assert rows[0]["time"] < rows[-1]["time"] <= taken
    assert {row["facility"] for row in rows} <= {"kern", "user", "daemon", "syslog"}
    assert {"info", "notice"} <= {row["level"] for row in rows}
    fields = [field for row in rows for field in row["fields"]]
    assert any(field.startswith("subsystem=") for field in fields) and any(
        field.startswith("device=") for field in fields
    )
    assert read(node).names[: len(COLUMNS)] == [column.name for column in COLUMNS]


def test_files(image: str, node_of: NodeOf) -> None:
    """The node's journal, every entry that its header counts; whose pages are gone is said."""
    node = node_of(image)
    rows = [row for row in TABLE.read(node).rows() if row["origin"] != "kernel"]
    if not image.startswith("node-"):
        assert rows == []
        return
    journal = [row for row in rows if row["origin"] == "journal"]
    assert [row["sequence"] for row in journal] == list(range(1, 1310))
    assert all(row["text"] is not None and row["path"].endswith("/system.journal") for row in journal)
    # the kernel's own lines are in both, with the same clock
    kernel = {row["text"]: row["since_boot"] for row in TABLE.read(node).rows() if row["origin"] == "kernel"}
    twice = [row for row in journal if row["facility"] == "kern" and row["text"] in kernel]
    assert len(twice) > 200
    assert any("session closed for user root" in row["text"] for row in journal)
    gaps = {gap.kind: gap for gap in node.gaps if gap.kind.endswith(" log")}
    assert {"journal log", "container log", "login log"} <= set(gaps)
    logins = [row for row in rows if row["origin"] == "login"]
    assert logins and {row["path"] for row in logins} == {"/run/utmp"}
    assert logins[0]["text"].startswith("boot reboot")


def test_each_kind_of_file(node_of: NodeOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journal, container log, shell history, as their programs write them, in place of a node's; an empty cache."""
    written = {
        "/root/.bash_history": b"#1795471962\nid\n",
        "/var/log/audit/audit.log": b"",
        "/var/log/journal/m/system.journal": journal("compact"),
        "/var/log/pods/shop_web-1_u/web/0.log": b"2026-11-23T22:10:00.5Z stdout F hello\n",
    }
    files = [LogFile(path, 0, max(len(data), 1), len(data), (NODE,)) for path, data in written.items()]

    def those(_: object, wanted: re.Pattern[bytes]) -> list[LogFile]:
        return [file for file in files if wanted.search(b"\0%s\0" % file.path.rsplit("/", 1)[-1].encode())]

    monkeypatch.setattr(log, "log_files", those)
    monkeypatch.setattr(log, "content", lambda source, file: file_of(written[file.path]))
    known = node_of("s-5.10-small-v1").kernel
    node = RamSource(Kernel(known.memory, known.anchors, Gaps()))
    rows = [row for row in TABLE.read(node).rows() if row["origin"] != "kernel"]
    texts = {origin: [row["text"] for row in rows if row["origin"] == origin] for origin in ("history", "container")}
    assert texts == {"history": ["id"], "container": ["hello"]}
    entries = [row for row in rows if row["origin"] == "journal"]
    assert len(entries) == len(expected()) and {row["path"] for row in entries} == {"/var/log/journal/m/system.journal"}
    assert [(gap.kind, gap.why) for gap in node.gaps if "audit" in gap.where] == [
        ("audit log", "none of its 1 bytes are in the page cache")
    ]
