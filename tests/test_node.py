# SPDX-License-Identifier: Apache-2.0
"""A node of a real image through the library: tables read when asked for, SQL, hunts, a case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import memir
from memir.errors import CaseError, RulesError, UsageError
from tests.images import cache, case

RULE = 'rule server {{ strings: $a = "/app/server" condition: $a }}'.format()


@pytest.fixture(scope="module")
def node() -> Iterator[memir.Node]:
    with memir.open(case("s-6.1-small").image, cache=cache()) as opened:
        yield opened


@pytest.fixture(scope="module")
def rule(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "server.yar"
    path.write_text(RULE)
    return path


def test_only_the_tables_that_are_asked_for_are_read() -> None:
    with memir.open(case("s-6.1-small").image, cache=cache()) as fresh:
        assert fresh._read == {}
        answer = fresh.sql("select kind, inum, pods from namespaces where initial")
        assert set(fresh._read) == {"namespaces"}
        assert {row["kind"] for row in answer} == {"mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time"}


def test_what_it_is(node: memir.Node) -> None:
    assert node.name == "ip-10-0-1-23.eu-west-1.compute.internal"
    assert set(node.tables) >= {"processes", "containers", "pods", "namespaces"}
    assert repr(node) == (f"<memir.Node {node.name}, Linux 6.1.0-50-cloud-amd64 x86_64, {case('s-6.1-small').image}>")
    assert node.identity.clock == 1_795_471_962_272_000_000
    assert node.identity.build_id == "bb603a9147d3efe4744bf83c83eee397c591cc20"


def test_tables(node: memir.Node) -> None:
    pods = node["pods"]
    assert sorted(pods["pod_name"]) == ["agent-x9z2k", "miner-0", "web-7d4b9c6f5-abcde"]
    assert len(node["processes"].where(pod_name="miner-0")) == 5
    assert node["pods"] is pods
    with pytest.raises(UsageError, match="there is no table sockets_; a node has api_pods, "):
        node["sockets_"]


def test_sql(node: memir.Node) -> None:
    answer = node.sql(
        "select p.pod_name, count(*) as n from processes p join pods using (pod_uid) group by all order by all"
    )
    assert list(answer) == [
        {"pod_name": "agent-x9z2k", "n": 3},
        {"pod_name": "miner-0", "n": 5},
        {"pod_name": "web-7d4b9c6f5-abcde", "n": 3},
    ]  # fmt: skip
    with pytest.raises(UsageError, match="The tables are "):
        node.sql("select * from nothing")


def test_findings(node: memir.Node) -> None:
    """They are a table like the others, and SQL knows them."""
    severe = {(row["kind"], row["pid"]) for row in node.findings if row["severity"] == "high"}
    assert severe == {("deleted-executable", 190), ("memfd-executable", 191), ("kernel-thread-name", 191),
                      ("anonymous-executable-memory", 191)}
    asked = node.sql("select f.kind from findings f join processes p using (pid) where p.comm = 'dropper'")
    assert asked["kind"] == ["deleted-executable"]
    assert [row["kind"] for row in node.find(["containers", "pods"])] == []  # only what these tables tell
    assert {row["kind"] for row in node.find(["processes"])} >= {"memfd-executable"}
    node.find()


def test_hunt(node: memir.Node, rule: Path) -> None:
    hits = node.hunt(rule)
    owners = {row["pod_name"] for row in hits if row["owner"] == "process"}
    assert "web-7d4b9c6f5-abcde" in owners
    assert (hits.stopped, hits.facts.rules.count, set(hits["run"])) == (False, 1, {hits.run})
    only = node.hunt(memir.compile_rules([rule]), pod="shop/web-7d4b9c6f5-abcde", kinds="process")
    assert {row["pod_name"] for row in only} == {"web-7d4b9c6f5-abcde"}
    assert only.facts.hits <= hits.facts.hits
    with pytest.raises(UsageError, match="no process and no file there is of --pod dev/web-7d4b9c6f5-abcde"):
        node.hunt(rule, pod="dev/web-7d4b9c6f5-abcde")
    with pytest.raises(RulesError):
        node.hunt(rule.parent / "no.yar")


def test_save(node: memir.Node, rule: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    node._progress = lambda what, done, total: told.append((what, done, total))
    node.hunt(rule)
    saved = node.save(tmp_path / "case")
    node._progress = None
    assert told[-1] == ("reading tables", len(node.default_tables), len(node.default_tables))
    assert set(saved.tables) == {*node.default_tables, "hits"}
    assert saved.sql("select count(*) from processes").rows == [(67,)]
    assert saved.sql("select count(distinct run) > 0 from hits").rows == [(True,)]
    assert memir.Case(tmp_path / "case").record == saved.record
    with pytest.raises(CaseError, match="already holds a case"):
        node.save(tmp_path / "case")
    part = node.save(tmp_path / "case", force=True, tables=["pods"])
    assert "processes" not in part.tables


def test_a_case_of_another_image_is_refused(node: memir.Node, tmp_path: Path) -> None:
    node.save(tmp_path / "case", tables=["pods"])
    other = memir.open(case("s-5.10-small-v1").image, cache=cache())
    with other, pytest.raises(CaseError, match="is the case of another image"):
        other.check(memir.Case(tmp_path / "case"))


def test_a_hunt_that_is_interrupted_keeps_what_it_found(node: memir.Node, rule: Path, tmp_path: Path) -> None:
    def progress(what: str, done: int, total: int) -> None:
        if what == "hunting" and done > total // 2:
            raise KeyboardInterrupt

    node._progress = progress
    try:
        hits = node.hunt(rule, workers=1)
    finally:
        node._progress = None
    assert hits.stopped
    (gap,) = [gap for gap in node.gaps if gap.why == "interrupted by the user: not scanned"]
    assert 0 < gap.count < sum(hits.facts.scanned.values())
