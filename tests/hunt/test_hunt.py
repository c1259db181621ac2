# SPDX-License-Identifier: Apache-2.0
"""One image hunted: kinds of memory, scopes, whose memory, and what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.errors import UsageError
from memir.hunt.hunt import Options, hunt, parse_kinds
from memir.hunt.owner import Attribution
from memir.hunt.units import KINDS
from memir.hunt.wanted import Wanted
from memir.kube.ram import RamSource
from tests.hunt.hunting import SMALLEST, WHO, owners, rules, run, strings
from tests.images import case


def test_hunt_counts_what_it_scanned_and_found(small: RamSource, tmp_path: Path) -> None:
    secret = case(SMALLEST).raw_truth()["secret"]["heap_secret"]
    steps: list[tuple[str, int, int]] = []
    found = hunt(
        small.kernel,
        strings(tmp_path, secret),
        Options(workers=2),
        node=small,
        progress=lambda what, done, total: steps.append((what, done, total)),
    )
    assert (found.hits, found.rules, found.stopped, found.secrets) == (1, 1, False, {})
    assert {(row["data"], row["pod_name"]) for row in found.rows} == {(secret, "miner-0")}
    assert found.masked == found.rows
    assert set(found.units) == set(found.scanned) == set(KINDS)
    assert steps[-1] == ("hunting", sum(found.scanned.values()), sum(found.scanned.values()))
    assert set(found.seconds) == {"memory", "units", "scan", "owners"}


@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_after_the_scan(
    times: int, small: RamSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While owners are told: the hits are kept and all RAM was scanned; a second Ctrl-C ends it."""
    left, rows = times, Attribution.rows

    def pressed(self: Attribution, *words: Any) -> list[dict[str, Any]]:
        nonlocal left
        left -= 1
        if left >= 0:
            raise KeyboardInterrupt
        return rows(self, *words)

    monkeypatch.setattr(Attribution, "rows", pressed)
    secret = case(SMALLEST).raw_truth()["secret"]["heap_secret"]
    if times == 2:
        with pytest.raises(KeyboardInterrupt):
            hunt(small.kernel, strings(tmp_path, secret), node=small)
        return
    kept = hunt(small.kernel, strings(tmp_path, secret), node=small)
    assert (kept.stopped, [row["data"] for row in kept.rows]) == (True, [secret])
    assert [gap for gap in small.kernel.gaps if gap.kind == "hunt"] == []


def test_parse_kinds() -> None:
    assert parse_kinds(None) == parse_kinds("") == frozenset(KINDS)
    assert parse_kinds(" files , free ,") == {"files", "free"}
    for text, words in (("all", "all is no kind; there are process, files"), (",", "nothing is no kind")):
        with pytest.raises(UsageError, match=words):
            parse_kinds(text)


def test_scopes(small: RamSource, tmp_path: Path) -> None:
    """Heap and environment are two regions of one process."""
    text = 'rule R { strings: $a = "MEMIR-HEAP-SECRET-" $b = "HOSTNAME=miner-0" condition: all of them }'
    ruleset = rules(tmp_path, text)
    process = frozenset({"process"})
    assert run(small, ruleset, kinds=process).rows == []
    found = run(small, ruleset, kinds=process, scope="process")
    assert {row["string"] for row in found.rows} == {"$a", "$b"} and len({row["pid"] for row in found.rows}) == 1
    positional = rules(tmp_path, text.replace("all of them", "all of them and filesize > 0"))
    again = run(small, positional, kinds=process, scope="process")
    assert owners(again, "hit_id", "pid") == owners(found, "hit_id", "pid")


def test_only_what_was_asked_for(small: RamSource, tmp_path: Path) -> None:
    ruleset = strings(tmp_path, "server up on")
    everything = run(small, ruleset).rows
    for wanted, column, value in (
        (Wanted(pods=frozenset({"miner-0"})), "pod_name", "miner-0"),
        (Wanted(namespaces=frozenset({"shop"})), "namespace", "shop"),
        (Wanted(containers=frozenset({"miner"})), "container_name", "miner"),
    ):
        found = run(small, ruleset, wanted=wanted)
        expected = [row for row in everything if row[column] == value]
        assert owners(found, "hit_id", *WHO) == {tuple(row[one] for one in ("hit_id", *WHO)) for row in expected}
    pid = next(row["pid"] for row in everything if row["pid"])
    assert owners(run(small, ruleset, wanted=Wanted(pids=frozenset({pid}))), "pid") == {(pid,)}


def test_every_kind_of_rule_finds_the_same_as_the_plain_one(small: RamSource, tmp_path: Path) -> None:
    """A rule that is not monotone takes another way through memory."""
    plain = run(small, rules(tmp_path, 'rule R { strings: $a = "server up on" condition: $a }'))
    other = run(small, rules(tmp_path, 'rule R { strings: $a = "server up on" condition: $a and filesize > 0 }'))
    assert owners(plain, *WHO, "paddr", "vaddr", "path") == owners(other, *WHO, "paddr", "vaddr", "path")
