# SPDX-License-Identifier: Apache-2.0
"""What several nodes share, in lines."""

from __future__ import annotations

from memir.report.across import across_lines

END = {"case": "a", "namespace": "shop", "pod": "web", "container": None, "pid": 7, "comm": "nc", "address": "10.0.1.5"}


def test_across_lines() -> None:
    row = {f"from_{name}": value for name, value in END.items()} | {"from_port": 4, "state": "ESTABLISHED"}
    nobody = END | {"case": "b", "namespace": None, "pod": None, "pid": None}
    row |= {f"to_{name}": value for name, value in nobody.items()} | {"to_port": 5}
    shared = {"kind": "secret", "value": "sha256:" + "a" * 64, "name": "token", "places": ["a: x", "b: y"]}
    assert list(across_lines([row], [shared], {"b": ["conntrack"]})) == [
        "Across the nodes: 1 connection seen from both ends, 1 thing on more than one",
        "  a: shop/web pid 7 nc 10.0.1.5 port 4 -> b: the node 10.0.1.5 port 5  ESTABLISHED",
        f"  secret sha256:{'a' * 17} token", "    a: x", "    b: y",
        "  not compared: conntrack of b, which the case has not",
    ]  # fmt: skip
    assert list(across_lines([row] * 201, [shared] * 201, {}))[-1] == "  ... and 1 things more (--json)"
