# SPDX-License-Identifier: Apache-2.0
"""Logs as a source of tables."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import pytest

from memir.errors import LogsError
from memir.kube.secrets import Secrets
from memir.logs.source import LogSource
from tests.findings.real import INTRUDED, node
from tests.logs.made import audit, exec_of, written


def test_tables(tmp_path: Path) -> None:
    source = LogSource([written(tmp_path, "a", audit())])
    assert source.tables == ("audit", "sessions")
    assert source.rows("audit").num_rows == 1
    assert source.ram("pods") is None
    digest = hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()
    assert source.hashes == {str(tmp_path / "a"): digest}
    with pytest.raises(KeyError):
        source.table("cloudtrail")


def test_no_log_at_all(tmp_path: Path) -> None:
    path = written(tmp_path, "a", "root:x:0:0:root:/root:/bin/sh")
    with pytest.raises(LogsError, match=r"no log that memir reads .*It reads Kubernetes audit log, "):
        _ = LogSource([path]).tables


def test_relations() -> None:
    tables = node(INTRUDED)[0]
    relations = LogSource([Path(__file__)], tables.get).relations()
    assert set(relations) == {"pods", "pods_by_name", "containers", "containers_by_name", "addresses"}
    assert relations["pods"].num_rows == tables["pods"].num_rows
    assert {row["address"] for row in relations["addresses"].to_pylist()} <= set(
        tables["pod_ips"]["address"].to_pylist()
    )
    bare = LogSource([Path(__file__)]).relations()
    assert {name: table.num_rows for name, table in bare.items()} == dict.fromkeys(relations, 0)


def test_masks_are_those_of_the_node(tmp_path: Path) -> None:
    path = written(
        tmp_path, "a", exec_of("n", "p", "command=x&command=--password=hunter22", "2026-11-23T22:27:43Z", "1")
    )
    first, second = (LogSource([path], secrets=functools.partial(Secrets, key)) for key in (bytes(32), b"k" * 32))
    masked = [source.table("audit")["command"][0].as_py()[1] for source in (first, second)]
    assert masked[0] != masked[1]
    assert "hunter22" not in "".join(masked)


def test_progress(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    path = written(tmp_path, "a", audit())
    _ = LogSource([path], progress=lambda *words: calls.append(words)).tables
    assert calls == [("reading logs", 0, 1)]
