# SPDX-License-Identifier: Apache-2.0
"""Red-black trees: every node once, however the links lead."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memir.kernel import rbtree
from tests.kernel.fake import DIRECT, fake_kernel, u64


def at(number: int) -> int:
    return DIRECT + 0x1000 + 32 * number


def tree(children: dict[int, tuple[int | None, int | None]]) -> dict[int, int | bytes]:
    words: dict[int, int | bytes] = {}
    for number, (left, right) in children.items():
        words[0x1000 + 32 * number + 8] = 0 if right is None else at(right)
        words[0x1000 + 32 * number + 16] = 0 if left is None else at(left)
    return words


def numbers(nodes: list[int]) -> list[int]:
    return [(node - at(0)) // 32 for node in nodes]


def test_two_trees_at_once() -> None:
    kernel = fake_kernel(tree({0: (1, 2), 1: (None, 3), 2: (None, None), 3: (None, None), 9: (None, None)}))
    owner, node = rbtree.nodes(kernel, u64(at(0), 0, at(9)), "tree")
    assert (owner.tolist(), numbers(node.tolist())) == ([0, 0, 0, 0, 2], [0, 1, 2, 3, 9])
    assert list(kernel.gaps) == []


def test_child_that_is_absent() -> None:
    kernel = fake_kernel(tree({0: (1, 1 << 30), 1: (None, None)}))
    _, node = rbtree.nodes(kernel, u64(at(0)), "tree")
    assert numbers(node.tolist()) == [0, 1]
    assert [(gap.kind, gap.why, gap.count) for gap in kernel.gaps] == [("tree", "not readable", 1)]


def test_too_deep() -> None:
    kernel = fake_kernel(tree({number: (None, number + 1) for number in range(200)}))
    _, node = rbtree.nodes(kernel, u64(at(0)), "tree")
    assert numbers(node.tolist()) == list(range(64))
    assert [gap.why for gap in kernel.gaps] == ["tree too deep or too large"]


CHILD = st.one_of(st.none(), st.integers(0, 20))


@given(st.lists(st.tuples(CHILD, CHILD), min_size=21, max_size=21), st.integers(0, 20))
def test_any_links(children: list[tuple[int | None, int | None]], root: int) -> None:
    """Loops and shared children: exactly the nodes that can be reached, each once."""
    reached, frontier = set(), {root}
    while frontier:
        reached |= frontier
        frontier = {child for number in frontier for child in children[number] if child is not None} - reached
    kernel = fake_kernel(tree(dict(enumerate(children))))
    _, node = rbtree.nodes(kernel, u64(at(root)), "tree")
    found = numbers(node.tolist())
    assert sorted(found) == sorted(reached)
