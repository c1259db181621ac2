# SPDX-License-Identifier: Apache-2.0
"""A line a pod: what it listens on, and with whom it talks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memir.kube.ram import RamSource
from memir.report.network import network_lines
from memir.tables.sockets import TABLE

NodeOf = Callable[[str], RamSource]


def test_lines_of_an_image(node_of: NodeOf) -> None:
    lines = network_lines(TABLE.read(node_of("s-6.1-small")).rows())
    assert lines == ["shop/web-7d4b9c6f5-abcde: listens on tcp 8080, udp 8080"]


def row(**changed: Any) -> dict[str, Any]:
    plain = {
        "family": "inet", "shared_by": None, "namespace": "shop", "pod_name": "api", "container_id": None,
        "protocol": "tcp", "local": "10.0.0.5", "local_port": 4000, "remote": "1.2.3.4", "remote_port": 443,
        "remote_kind": "outside", "remote_name": None, "state": "ESTABLISHED", "accepted": True,
    }  # fmt: skip
    return plain | changed


def test_ends() -> None:
    listening = {"state": "LISTEN", "remote": "::", "remote_port": 0, "remote_kind": None}
    lines = network_lines([
        row(),
        row(remote="169.254.169.254", remote_port=80, remote_kind="aws", remote_name="instance metadata"),
        row(state="ended", remote="::ffff:9.9.9.9"),
        row(accepted=False, remote="8.8.8.8"),
        row(remote_kind="loopback", remote="127.0.0.1"),
        row(pod_name=None, local_port=22, **listening),
        row(local_port=80, **listening),
        row(local_port=81, local="127.0.0.1", **listening),
        row(family="unix"),
        row(shared_by=["a", "b"], remote="7.7.7.7"),
    ])  # fmt: skip
    assert lines == [
        "shop/api: listens on tcp 80; talks to aws instance metadata 80, outside 1.2.3.4 443, "
        "outside 8.8.8.8 443 (not accepted yet), outside 9.9.9.9 443 (ended)",
        "node: listens on tcp 22",
    ]


def test_the_end_that_was_called_says_its_port() -> None:
    called = {"remote": "10.0.0.9", "remote_kind": "pod", "remote_name": "shop/web", "remote_port": 33966}
    assert network_lines([row(local_port=7000, **called)]) == ["shop/api: talks to pod shop/web 33966 on 7000"]
    assert network_lines([row(local_port=40000, **called)]) == ["shop/api: talks to pod shop/web 33966"]


def test_long_lines_are_cut() -> None:
    (line,) = network_lines(row(remote=f"1.2.3.{number}") for number in range(20))
    assert line.endswith(" and 12 more")
