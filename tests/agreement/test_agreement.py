# SPDX-License-Identifier: Apache-2.0
"""Every difference from a recording has its reason, and docs/reference/agreement.md says what is so."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from memir.kube.ram import RamSource
from tests.agreement import acts, page, read
from tests.agreement.compare import (
    KINDS,
    MEMIR_ALONE,
    NULL,
    OTHER,
    TRUTH_ALONE,
    UNEXPLAINED,
    Agreement,
    Key,
    Row,
    Told,
    compare,
    keyed,
)
from tests.images import case

NodeOf = Callable[[str], RamSource]


@functools.cache
def recorded(recording: str) -> dict[str, Agreement]:
    return read.gathered(acts.RECORDINGS[recording]())


def listed(image: str) -> list[str]:
    """Lines of the page of one image."""
    return [line for line in page.PAGE.read_text().splitlines() if line.startswith(f"| {image} |")]


def test_an_image_as_the_page_has_it(image: str, node_of: NodeOf) -> None:
    found = read.of_image(image, node_of(image))
    assert page.unexplained({image: found}) == []
    assert sum(agreement.rows for agreement in found.values()) > 1000
    if case(image).sample:
        assert list(page.image_lines(image, found)) == listed(image)


@pytest.mark.parametrize("recording", acts.RECORDINGS)
def test_a_recording_as_the_page_has_it(recording: str) -> None:
    found = recorded(recording)
    assert page.unexplained({recording: found}) == []
    assert sum(agreement.rows for agreement in found.values()) >= 1
    if not recording.endswith("-whole"):
        assert list(page.image_lines(recording, found)) == listed(recording)


def test_every_table_of_an_image_is_told_of_or_named(node_of: NodeOf) -> None:
    """A Kubernetes node was recorded without routes and interfaces: by a small one and what nodes told besides."""
    by_image = {name: recorded(name) for name in acts.RECORDINGS}
    assert page.untold({"s-6.1-small": read.of_image("s-6.1-small", node_of("s-6.1-small")), **by_image}) == set()


def told(**more: Any) -> Told:
    truth: dict[Key, Row] = {("a",): {"x": 1, "y": 2}, ("b",): {"x": 1, "y": 2}, ("c",): {"x": 1, "y": 2}}
    mine: dict[Key, Row] = {("a",): {"x": 1, "y": 2, "z": 3}, ("b",): {"x": None, "y": 3}, ("d",): {"x": 1, "y": 2}}
    return Told("pods", "a test", truth, mine, **more)


def test_each_kind_of_difference_is_counted() -> None:
    found = compare(told())
    assert (found.rows, found.equal, found.columns) == (3, 1, {"x", "y"})
    assert {kind: found.count(kind) for kind in KINDS} == {TRUTH_ALONE: 1, MEMIR_ALONE: 1, OTHER: 1, NULL: 1}
    assert {page.where(each) for each in found.differences} == {TRUTH_ALONE, MEMIR_ALONE, "`y`", "`x` null"}
    assert {each.reason for each in found.differences} == {UNEXPLAINED}
    assert len(page.unexplained({"node": {"pods": found}})) == 4
    assert page.numbers(found) == "3 | 1 | 1 | 1 | 1 | 1"


def test_a_reason_is_told_by_row_and_column() -> None:
    found = compare(told(why=lambda key, where, _truth, _memir: f"{key[0]} {where}"))
    assert page.unexplained({"node": {"pods": found}}) == []
    assert {each.reason for each in found.differences} == {"b x", "b y", f"c {TRUTH_ALONE}", f"d {MEMIR_ALONE}"}
    both = Agreement("pods")
    both.take(found)
    both.take(compare(told()))
    assert (both.rows, both.equal, both.differences.total(), both.what) == (6, 2, 8, ["a test"])


def test_rows_of_one_key_are_counted_apart() -> None:
    assert keyed([((1,), {"x": 1}), ((1,), {"x": 2}), ((2,), {})]) == {(1,): {"x": 1}, (1, 1): {"x": 2}, (2,): {}}


def test_tables_that_nothing_tells_of_are_named() -> None:
    assert {"bpf", "processes", "sockets"} < page.untold({}) and "claims" not in page.untold({})
    assert page.untold({"node": {"bpf": Agreement("bpf")}}) == page.untold({}) - {"bpf"}
