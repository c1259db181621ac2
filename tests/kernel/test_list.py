# SPDX-License-Identifier: Apache-2.0
"""Linked lists: in order, and made by someone who does not want them to end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.kernel import list as lists
from memir.kernel.engine import Kernel
from memir.symbols.types import Member
from tests.kernel import fake
from tests.kernel.fake import DIRECT, fake_kernel, u64


@pytest.fixture(autouse=True, scope="module", params=[0, 4])
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test with lists walked in step, and one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "_FEW", request.param)
        yield


def at(number: int) -> int:
    return DIRECT + 0x1000 + 16 * number


def linked(following: dict[int, int]) -> Kernel:
    """Node n's next pointer is node following[n]; -1 is NULL, other negative numbers an absent address."""

    def target(number: int) -> int:
        return 0 if number == -1 else DIRECT + (1 << 40) if number < -1 else at(number)

    return fake_kernel({0x1000 + 16 * number: target(to) for number, to in following.items()})


def numbers(nodes: list[int]) -> list[int]:
    return [(node - at(0)) // 16 for node in nodes]


def test_rings_in_order() -> None:
    """Two lists and an empty one, walked at once."""
    kernel = linked({0: 1, 1: 2, 2: 3, 3: 0, 10: 12, 12: 11, 11: 10, 20: 20})
    owner, node = lists.list_nodes(kernel, u64(at(0), at(10), at(20), 0), "ring")
    assert (owner.tolist(), numbers(node.tolist())) == ([0, 0, 0, 1, 1], [1, 2, 3, 12, 11])
    assert list(kernel.gaps) == []


def test_chains_that_end_with_null() -> None:
    kernel = linked({0: 5, 5: 6, 6: -1, 1: -1, 7: 8, 8: -1})
    owner, node = lists.hlist_nodes(kernel, u64(at(0), at(1)), "hash")
    assert (owner.tolist(), numbers(node.tolist())) == ([0, 0], [5, 6])
    owner, node = lists.chain(kernel, u64(at(7), 0), 0, "chain")
    assert (owner.tolist(), numbers(node.tolist())) == ([0, 0], [7, 8])
    assert list(kernel.gaps) == []


def test_ring_that_leads_nowhere() -> None:
    for end, why in ((-1, "link not readable"), (-2, "link not readable")):
        kernel = linked({0: 1, 1: 2, 2: end})
        _, node = lists.list_nodes(kernel, u64(at(0)), "ring")
        assert numbers(node.tolist())[:2] == [1, 2]
        assert {(gap.kind, gap.why) for gap in kernel.gaps} == {("ring", why)}


def test_limit() -> None:
    kernel = linked({number: number + 1 for number in range(50)} | {50: 0})
    _, node = lists.list_nodes(kernel, u64(at(0)), "ring", limit=20)
    assert numbers(node.tolist()) == list(range(1, 21))
    assert [gap.why for gap in kernel.gaps] == ["longer than 20"]


@given(st.lists(st.integers(0, 30), min_size=31, max_size=31), st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_any_links(following: list[int], heads: list[int]) -> None:
    """Whatever the links: every node that is given is on the way from its head, and a loop is told, in bounded hops."""
    kernel = linked(dict(enumerate(following)))
    owner, node = lists.list_nodes(kernel, u64(*map(at, heads)), "ring")
    for which, head in enumerate(heads):
        found = numbers(node[owner == which].tolist())
        way, here, closed = [], following[head], False
        while here not in way:
            if here == head:
                closed = True
                break
            way.append(here)
            here = following[here]
        assert found[: len(way)] == way
        assert set(found) == set(way)
        assert len(found) <= 4 * len(following)
        if closed:
            assert found == way
    loops = any("loops" in gap.why for gap in kernel.gaps)
    assert loops == any(not closes(following, head) for head in heads)


def closes(following: list[int], head: int) -> bool:
    seen, here = set(), following[head]
    while here not in seen and here != head:
        seen.add(here)
        here = following[here]
    return here == head


@given(st.lists(st.integers(-2, 12), min_size=13, max_size=13), st.lists(st.integers(0, 12), min_size=1, max_size=4),
       st.booleans(), st.integers(1, 20))  # fmt: skip
def test_both_ways_give_the_same(following: list[int], heads: list[int], circular: bool, limit: int) -> None:
    """The same nodes of the same lists in the same order, and the same gaps."""
    walk = lists.list_nodes if circular else lists.hlist_nodes
    told = []
    for few in (0, 4):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lists, "_FEW", few)
            kernel = linked(dict(enumerate(following)))
            owner, node = walk(kernel, u64(*map(at, heads)), "ring", limit)
            told.append((owner.tolist(), node.tolist(), {(gap.why, gap.count) for gap in kernel.gaps}))
    assert told[0] == told[1]


def test_ring_of_members_in_pieces() -> None:
    """All objects on a list whose head is not known; a torn list gives the pieces that known members lie on."""
    kernel = linked({0: 1, 1: 2, 2: 0, 5: 6, 6: 7, 7: -2})
    fake.STRUCTS["thing"] = (16, {"link": Member(0, fake.POINTER)})
    assert numbers(lists.ring(kernel, "thing", "link", u64(at(1)), "things").tolist()) == [0, 1, 2]
    assert list(kernel.gaps) == []
    assert numbers(lists.ring(kernel, "thing", "link", u64(at(2), 0, at(5)), "things").tolist()) == [0, 1, 2, 5, 6, 7]
    assert [(gap.kind, gap.why) for gap in kernel.gaps] == [("things", "link not readable")]
    assert lists.ring(kernel, "thing", "link", u64(), "things").tolist() == []


def test_many_heads_of_one_list() -> None:
    """A table that is none, each slot of which leads into the same list: no more nodes than RAM has room for."""
    kernel = linked({number: number + 1 for number in range(50)} | {50: -1})
    most = kernel.memory.end // 64
    _, node = lists.hlist_nodes(kernel, np.full(most // 10, at(0), np.uint64), "table")
    assert most - most // 10 <= len(node) <= most and set(numbers(node.tolist())) == set(range(1, 11))
    assert [(gap.kind, gap.why, gap.count) for gap in kernel.gaps] == [
        ("table", "more nodes than RAM can hold", most // 10)
    ]  # fmt: skip


def test_hash_chains() -> None:
    """Chains that end with NULL, with an odd word, and heads that are locked or hold their own address."""
    kernel = fake_kernel({0x1000: at(5), 0x1050: at(6), 0x1060: 0x31, 0x1010: 0x21, 0x1020: at(7) | 1, 0x1070: 1,
                          0x1030: at(3) | 1})  # fmt: skip
    owner, node = lists.hash_nodes(kernel, u64(at(0), at(1)), "table")
    assert (owner.tolist(), numbers(node.tolist())) == ([0, 0], [5, 6])
    owner, node = lists.hash_nodes(kernel, u64(at(2), at(3)), "table", locked=True)
    assert (owner.tolist(), numbers(node.tolist())) == ([0], [7])
    assert list(kernel.gaps) == []


def test_absurd_tables() -> None:
    kernel = fake_kernel({})
    found = lists.slots(kernel, u64(DIRECT, DIRECT, 0), u64(3, 1 << 40, 5), 8, "table")
    assert found.tolist() == [DIRECT, DIRECT + 8, DIRECT + 16]
    assert [(gap.kind, gap.why) for gap in kernel.gaps] == [("table", "absurd size")]
    assert lists.slots(kernel, u64(), u64(), 8, "table").tolist() == []
