# SPDX-License-Identifier: Apache-2.0
"""Who is behind translated addresses; on a real node: tests/tables/test_recorded_acts.py."""

from __future__ import annotations

import numpy as np

from memir.kernel.nf_conntrack import DST_NAT, SRC_NAT, Connections, Tuple
from memir.kube.addresses import Remote
from memir.kube.nat import behind, translated


def entries(*rows: tuple[tuple[str, int, str, int], tuple[str, int, str, int], int, bool]) -> Connections:
    none = np.zeros(len(rows), np.uint64)
    plain = np.full(len(rows), -1)
    return Connections(
        none, none, plain, np.full(len(rows), 6), [Tuple(*row[0]) for row in rows], [Tuple(*row[1]) for row in rows],
        np.array([row[2] for row in rows]), plain, [None] * len(rows), plain, plain, plain,
        np.array([row[3] for row in rows], bool),
    )  # fmt: skip


def test_translated() -> None:
    asked, answered = ("10.0.0.1", 4000, "172.20.0.1", 80), ("10.0.0.2", 8080, "10.0.0.9", 4001)
    old = ("10.0.0.7", 8080, "10.0.0.9", 4001)
    plain = ("10.0.0.3", 5000, "10.0.0.4", 80)
    every = entries(
        (asked, answered, SRC_NAT | DST_NAT, False), (asked, old, DST_NAT, True), (plain, plain, 0, False)
    )
    ends = translated(every)
    # a connection that is there counts before one that has ended
    assert ends[6, *asked] == "10.0.0.2"
    assert ends[6, *answered] == "10.0.0.1"
    assert (6, *plain) not in ends and len(ends) == 3
    assert translated(None) == {}


def test_behind() -> None:
    pod = Remote("pod", "shop/web", "uid")
    assert behind(Remote("private"), pod) == pod
    assert behind(Remote("node", "node-1"), pod) == pod
    assert behind(Remote("service", "shop/web-svc"), pod) == Remote("service", "shop/web-svc", "uid")
    assert behind(Remote("node", "node-1"), Remote()) == Remote("node", "node-1")
