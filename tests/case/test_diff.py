# SPDX-License-Identifier: Apache-2.0
"""Two cases compared: what a real node's tables say of themselves, and of themselves with known changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from memir.case.case import Case
from memir.case.diff import KINDS, diff
from memir.case.record import Facts
from memir.errors import CaseError, UsageError
from memir.tables.table import tables as known
from tests.case.test_case import ANALYSIS, ONE, SECOND, hunt
from tests.findings.real import SMALL, node

Change = Callable[[list[dict[str, Any]]], None]


def written(folder: Path, **changes: Change) -> Path:
    """A case of the small node, with some tables' rows changed."""
    made: dict[str, Any] = dict(node(SMALL)[0])
    for name, change in changes.items():
        rows = made[name].to_pylist()
        change(rows)
        made[name] = pa.Table.from_pylist(rows, schema=known()[name].schema())
    Case.create(folder).add_tables(made, ANALYSIS, SECOND if changes else ONE)
    return folder


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("diff") / "old")


def test_a_case_does_not_differ_from_itself(old: Path) -> None:
    result = diff(old, old)
    assert result.differences == ()
    absent = [kind for kind in KINDS if kind.table not in node(SMALL)[0]]
    assert result.lacking == {kind.name: f"{old} and {old}: no table {kind.table}" for kind in absent}
    assert set(result.compared) | set(result.lacking) == {kind.name for kind in KINDS}
    assert result.facts["node"] == ("n", "n")


def test_pids_addresses_and_namespaces_do_not_matter(old: Path, tmp_path: Path) -> None:
    def renumber(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row |= {"pid": row["pid"] + 1000, "ppid": row["ppid"] + 1000, "task": row["task"] + 64, "mnt_ns": 7}

    result = diff(old, written(tmp_path / "new", processes=renumber), ["processes"])
    assert result.differences == () and result.compared == ("processes",)


def test_new_gone_and_changed(old: Path, tmp_path: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        dropper = next(row for row in rows if row["comm"] == "dropper")
        rows.remove(dropper)
        memfd = next(row for row in rows if row["exe"] == "/memfd:x")
        rows.append({**memfd, "pid": 9999, "exe": "/tmp/new", "args": ["new", "-x"]})
        rows.append({**memfd, "pid": 9998, "exe": "/tmp/new", "args": ["new", "-x"]})
        secretd = next(row for row in rows if (row["exe"] or "").endswith("secretd"))
        secretd["uid"] = 1000

    result = diff(old, written(tmp_path / "new", processes=change), ["processes"])
    states = {(each.state, each.key["exe"]): each for each in result.differences}
    assert set(states) == {("new", "/tmp/new"), ("gone", "/tmp/dropper"), ("changed", "/app/secretd")}
    new = states["new", "/tmp/new"]
    assert new.count == (0, 2) and new.old == {} and new.key["args"] == "new -x"
    assert (new.key["namespace"], new.key["workload"], new.key["container"]) == ("dev", "miner-0", "miner")
    assert states["gone", "/tmp/dropper"].new == {} and states["gone", "/tmp/dropper"].old["exe_deleted"] == "true"
    changed = states["changed", "/app/secretd"]
    assert (changed.old, changed.new) == ({"uid": "0"}, {"uid": "1000"})
    assert [each["state"] for each in result.to_json()["differences"]] == [each.state for each in result.differences]


def test_pods_of_one_workload_are_one(old: Path, tmp_path: Path) -> None:
    names = {"web-7d4b9c6f5-abcde": "web-5f6d8b9c7-x2x4z"}

    def rename(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["pod_name"] = names.get(row["pod_name"], row["pod_name"])

    def owned(rows: list[dict[str, Any]]) -> None:
        rename(rows)
        for row in rows:
            if row["pod_name"] in names.values():
                row["owner"] = "ReplicaSet/web-5f6d8b9c7"

    def first(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row["pod_name"] in names:
                row["owner"] = "ReplicaSet/web-7d4b9c6f5"

    before = written(tmp_path / "before", pods=first)
    after = written(tmp_path / "after", pods=owned, processes=rename, containers=rename)
    assert diff(before, after, ["processes", "containers", "pods"]).differences == ()


def test_owners_that_one_case_alone_knows_are_no_difference(old: Path, tmp_path: Path) -> None:
    owners = {"miner-0": "StatefulSet/miner", "agent-x9z2k": "DaemonSet/agent"}

    def owned(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["owner"] = owners.get(row["pod_name"], row["owner"])

    new = written(tmp_path / "new", pods=owned)
    assert diff(old, new).differences == () and diff(new, old).differences == ()


def test_the_wrong_order_and_a_view_of_one_side_are_said(old: Path, tmp_path: Path) -> None:
    """OLD is younger than NEW; and what only the API tells is no change of a node that was read without it."""
    def told(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row |= {"service_account": "agent", "qos": "Guaranteed"}

    new = written(tmp_path / "new", pods=told)
    assert diff(old, new, ["hooks"]).notes == ()
    (words,) = diff(new, old, ["hooks"]).notes
    assert words.startswith("OLD was taken after NEW (1970-01-01 00:00:00 and 1970-01-01 00:00:00)")
    seen = diff(old, new, ["pods"]).differences
    viewed = tmp_path / "viewed"
    made = {**node(SMALL)[0], "pods": Case(new)["pods"]}
    Case.create(viewed).add_tables(made, ANALYSIS, replace(SECOND, cluster="pods.json"))
    result = diff(old, viewed, ["pods"])
    unknown = [each for each in seen if each.old and all(value is None for value in each.old.values())]
    assert len(result.differences) == len(seen) - len(unknown)
    assert result.notes == (
        "only NEW has the API's view (--cluster): what the other case does not know for that is no change "
        f"({len(unknown)} left out); pods that the API alone knows are new or gone for it",
    )
    assert result.to_json()["notes"] == list(result.notes)


def test_what_cannot_be_compared_is_said(old: Path, tmp_path: Path) -> None:
    Case.create(tmp_path / "few").add_tables({"processes": pa.table({"pid": [1]})}, ANALYSIS, ONE)
    result = diff(old, tmp_path / "few")
    assert result.compared == ()
    assert result.lacking["processes"] == "a table processes lacks a column: an earlier memir wrote it"
    assert result.lacking["modules"] == f"{tmp_path / 'few'}: no table modules"
    with pytest.raises(UsageError, match="nothing named 'pages' to compare: there are findings, pods"):
        diff(old, old, ["pages"])
    with pytest.raises(CaseError, match="no case"):
        diff(old, tmp_path)
    several = Facts(images=("a", "b"))
    Case.create(tmp_path / "many").add_tables({"processes": pa.table({"pid": [1]})}, hunt("1", 1), several)
    with pytest.raises(CaseError, match="the case of 2 images"):
        diff(old, tmp_path / "many")
