# SPDX-License-Identifier: Apache-2.0
"""Pods that ask the instance metadata service."""

from __future__ import annotations

import pytest

from tests.findings.real import INTRUDED, NODE, SMALL, after, kind, on_the_node

KIND = "metadata-service"


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"])
def test_a_connection_of_a_pod(address: str) -> None:
    """The sidecar's connection, led to that address."""
    (row,) = after(SMALL, KIND, "sockets", {"pid": 152}, remote=address)
    assert (row["severity"], row["pid"], row["pod_name"]) == ("medium", 152, "web-7d4b9c6f5-abcde")
    assert "(ESTABLISHED)" in row["title"]


def test_an_ended_one() -> None:
    (row,) = after(SMALL, KIND, "sockets", {"pid": 152}, remote="169.254.169.254", pid=None, pids=[], state="ended")
    assert (row["pid"], row["pod_name"]) == (None, "web-7d4b9c6f5-abcde")


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []
    assert after(SMALL, KIND, "sockets", {"pid": 152}, remote="169.254.170.23") == []  # Pod Identity, meant for pods
    assert after(SMALL, KIND, "sockets", {"pid": 152}, remote="169.254.169.254", pod_uid=None) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
