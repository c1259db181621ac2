# SPDX-License-Identifier: Apache-2.0
"""Owners of many things at once: who owns alone, who shares."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from memir.kube.owner_batch import (
    NODE,
    PARTS,
    Owner,
    OwnerBatch,
    owner_order,
    owners_of_keys,
    owners_of_numbers,
    plain_keys,
    sort_owners,
)

WEB = Owner("a" * 64, "web", "uid-1", "shop-1", "shop")
SIDECAR = Owner("b" * 64, "sidecar", "uid-1", "shop-1", "shop")
MINER = Owner("c" * 64, "miner", "uid-2", "miner-0", "dev")
LOOSE = Owner("d" * 64)
EVERY = (WEB, SIDECAR, MINER, LOOSE, NODE)


def test_an_owner() -> None:
    assert WEB.parts() == ("a" * 64, "web", "uid-1", "shop-1", "shop")
    assert WEB.columns() == dict(zip(PARTS, WEB.parts(), strict=True))
    assert WEB.whole_pod() == SIDECAR.whole_pod() == Owner(None, None, "uid-1", "shop-1", "shop")
    assert NODE.parts() == (None,) * 5
    assert owner_order(LOOSE) == ("d" * 64, "", "", "", "")
    assert sort_owners([MINER, WEB, NODE, MINER]) == (NODE, WEB, MINER)


def test_one_owner_or_several() -> None:
    rows = [(WEB,), (WEB, SIDECAR), (WEB, MINER), (WEB, NODE), (NODE,), (), (LOOSE,), (LOOSE, LOOSE), (LOOSE, MINER)]
    batch = OwnerBatch.of_lists(rows)
    assert len(batch) == len(rows)
    assert [batch[at] for at in range(len(rows))] == rows
    assert batch.first.dtype == batch.index.dtype == np.int64
    owners, alone = batch.single()
    assert [None if at < 0 else owners[at] for at in alone.tolist()] == [
        WEB, WEB.whole_pod(), None, None, NODE, None, LOOSE, LOOSE, None,
    ]  # fmt: skip
    assert batch.shared_by() == [None, None, ["uid-1", "uid-2"], ["uid-1"], None, None, None, None, ["uid-2"]]
    columns = batch.columns()
    assert list(columns) == [*PARTS, "shared_by"]
    assert columns["pod_name"].to_pylist() == ["shop-1", "shop-1", *[None] * 7]
    assert columns["container_name"].to_pylist() == ["web", *[None] * 8]
    assert columns["container_id"].to_pylist()[6:] == ["d" * 64, "d" * 64, None]
    assert {name: column.type for name, column in columns.items()} == {
        **dict.fromkeys(PARTS, pa.string()),
        "shared_by": pa.list_(pa.string()),
    }


def test_nothing_is_asked() -> None:
    for batch in (OwnerBatch.of_lists([]), OwnerBatch.of_lists([(), ()])):
        columns = batch.columns()
        assert {len(column) for column in columns.values()} == {len(batch)}
        assert all(column.null_count == len(column) for column in columns.values())


@given(st.lists(st.lists(st.sampled_from(EVERY), max_size=4)))
def test_columns_say_what_the_lists_say(lists: list[list[Owner]]) -> None:
    columns = OwnerBatch.of_lists(lists).columns()
    for at, owners in enumerate(lists):
        pods = {owner.whole_pod() for owner in owners}
        value = {name: columns[name][at].as_py() for name in (*PARTS, "shared_by")}
        if len(set(owners)) == 1:
            assert value == {**owners[0].columns(), "shared_by": None}
        elif len(pods) == 1 and None not in {pod.pod_uid for pod in pods}:
            assert value == {**next(iter(pods)).columns(), "shared_by": None}
        else:
            shared = sorted({owner.pod_uid for owner in owners if owner.pod_uid}) or None
            assert value == {**NODE.columns(), "shared_by": shared}


def test_keys() -> None:
    """Equal keys have equal answers; a key that nobody knows, or that is null, has no owner."""
    known: dict[Hashable, tuple[Owner, ...]] = {5: (WEB, SIDECAR), 7: (MINER,)}
    batch = owners_of_keys(known, pa.array([7, None, 5, 9, 7], pa.uint64()))
    assert [batch[row] for row in range(5)] == [(MINER,), (), (WEB, SIDECAR), (), (MINER,)]
    asked: list[list[int]] = []

    def look_up(keys: list[int]) -> list[tuple[Owner, ...]]:
        asked.append(keys)
        return [(WEB,)] * len(keys)

    again = owners_of_numbers(np.array([7, 5, 7], np.uint64), look_up)
    assert asked == [[5, 7]] and [again[row] for row in range(3)] == [(WEB,)] * 3
    assert plain_keys(np.array([1, 2])) == plain_keys(pa.array([1, 2])) == plain_keys((1, 2)) == [1, 2]
