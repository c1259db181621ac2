# SPDX-License-Identifier: Apache-2.0
"""What --pod, --namespace, --container and --pid let through."""

from __future__ import annotations

import pytest

from memir.hunt.wanted import Wanted
from memir.kube.owner import NODE, Owner

WEB = Owner("a" * 64, "web", "uid-1", "shop-1", "shop")


@pytest.mark.parametrize(
    ("wanted", "owner", "pid", "has"),
    [
        (Wanted(), WEB, None, True),
        (Wanted(), NODE, 1, True),
        (Wanted(pods=frozenset({"shop-1"})), WEB, 7, True),
        (Wanted(pods=frozenset({"uid-1"})), WEB, 7, True),
        (Wanted(pods=frozenset({"shop-2"})), WEB, 7, False),
        (Wanted(pods=frozenset({"shop-1"})), NODE, 7, False),
        (Wanted(namespaces=frozenset({"shop"})), WEB, None, True),
        (Wanted(namespaces=frozenset({"dev"})), WEB, None, False),
        (Wanted(containers=frozenset({"web"})), WEB, None, True),
        (Wanted(containers=frozenset({"aaaa"})), WEB, None, True),
        (Wanted(containers=frozenset({"b"})), WEB, None, False),
        (Wanted(containers=frozenset({"b"})), NODE, None, False),
        (Wanted(pids=frozenset({7})), WEB, 7, True),
        (Wanted(pids=frozenset({7})), WEB, None, False),
        (Wanted(pods=frozenset({"shop-1"}), namespaces=frozenset({"dev"})), WEB, None, False),
    ],
)
def test_has(wanted: Wanted, owner: Owner, pid: int | None, has: bool) -> None:
    assert wanted.has(owner, pid) is has


def test_words() -> None:
    wanted = Wanted(frozenset({"b", "a"}), frozenset(), frozenset({"c"}), frozenset({7}))
    assert wanted.words() == "--pod a --pod b --container c --pid 7"
    assert (bool(wanted), bool(Wanted())) == (True, False)


def test_a_pod_as_memir_prints_it() -> None:
    owner = Owner(pod_name="web", namespace="shop", pod_uid="u")
    assert Wanted(pods=frozenset({"shop/web"})).has(owner, None)
    assert not Wanted(pods=frozenset({"dev/web"})).has(owner, None)
