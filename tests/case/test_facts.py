# SPDX-License-Identifier: Apache-2.0
"""What a case records of an image and a hunt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from memir.case.facts import (
    analysis_run,
    facts_of,
    gaps_since,
    hunt_facts,
    hunt_id,
    hunt_run,
    secrets_of_hits,
    with_share,
)
from memir.case.record import ImageAnswer, OddityRecord
from memir.gaps import Gap
from memir.hunt.hunt import Options, hunt
from memir.hunt.rules import load_rules
from memir.hunt.wanted import Wanted
from memir.kube.ram import RamSource
from tests.images import case as sample


def test_facts_of_an_image(node_of: Callable[[str], RamSource]) -> None:
    facts = facts_of(node_of("s-6.1-small").kernel, sha256="ab" * 32, node="n", oddities=[OddityRecord("k", "t")])
    assert facts.identity is not None and facts.evidence is not None and facts.kernel is not None
    assert (facts.identity.clock, facts.identity.sha256) == (1795471962272000000, "ab" * 32)
    assert (facts.evidence.format, facts.evidence.container, facts.evidence.ram_size) == ("raw", "zstd", 192 << 20)
    assert (facts.evidence.ranges[0].start, facts.evidence.ranges[0].size) == (0, 192 << 20)
    assert (facts.kernel.release, facts.kernel.paging_levels) == ("6.1.0-50-cloud-amd64", 4)
    shared = with_share(facts.evidence, node_of("s-6.1-small").coverage)
    assert shared is not None and (shared.ram_share, shared.ram_missing) == (1.0, ())
    assert (shared.ram_total, shared.ram_account) == (shared.ram_present, "iomem_resource")
    assert with_share(None, node_of("s-6.1-small").coverage) is None
    assert (facts.node, facts.oddities[0].kind, facts.images) == ("n", "k", ())


def test_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.yar"
    path.write_text("rule A { condition: true }")
    rules, options = load_rules([path]), Options(workers=1)
    run, inputs = hunt_id(rules, options)
    assert [(one.kind, one.path) for one in inputs] == [("rules", str(path))]
    assert hunt_id(rules, replace(options, workers=7, show_secrets=True))[0] == run
    assert hunt_id(rules, replace(options, wanted=Wanted(pods=frozenset({"p"}))))[0] != run
    assert hunt_id(load_rules([path], {"x": 1}), options)[0] != run
    answers = [ImageAnswer("a", None, 1, 1, 2, 3.0, "e")]
    facts = hunt_facts(rules, options, hits=1, rows=2, scanned={"free": 3}, images=answers)
    assert (facts.rules.count, facts.hits, facts.rows, facts.images[0].error) == (1, 1, 2, "e")
    gap = Gap("k", "w", "y", 2)
    done = hunt_run(run, facts, 1.23456, [gap])
    assert (done.run, done.command, done.seconds, done.gaps, done.hunt) == (run, "hunt", 1.235, (gap,), facts)
    assert (analysis_run(2, []).run, analysis_run(2, []).hunt) == ("analyze", None)
    assert gaps_since([gap], [Gap("k", "w", "y", 5), Gap("a", "b", "c", 1)]) == (
        Gap("k", "w", "y", 3),
        Gap("a", "b", "c"),
    )


def test_secrets_of_hits(node_of: Callable[[str], RamSource], tmp_path: Path) -> None:
    path = tmp_path / "heap.yar"
    path.write_text("rule Heap : secret { strings: $a = /MEMIR-HEAP-SECRET-[0-9a-f]{16}/ condition: $a }")
    kernel = node_of("s-6.1-small").kernel
    found = hunt(kernel, load_rules([path]), Options(workers=1), secret_key=bytes(32))
    (row,) = secrets_of_hits(found, facts_of(kernel)).rows()
    value = sample("s-6.1-small").raw_truth()["secret"]["heap_secret"]
    assert row["fingerprint"] == "sha256:" + hashlib.sha256(value.encode()).hexdigest()
    assert (row["kind"], row["holder"], row["pod_name"], row["claims"]) == ("key", "hit", "miner-0", None)
    assert row["source"] == "rule Heap: process" and value not in str(row) + str(found.masked)
