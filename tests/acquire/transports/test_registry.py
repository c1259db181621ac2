# SPDX-License-Identifier: Apache-2.0
"""Every transport is an entry: its options, its nodes, its transport."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import pytest

from memir.acquire.settings import Shared
from memir.acquire.transports.local_options import LocalOptions
from memir.acquire.transports.pod.options import PodAcquireOptions
from memir.acquire.transports.registry import TRANSPORTS
from memir.acquire.transports.ssh.options import SshOptions
from memir.acquire.transports.ssm.options import SsmOptions
from memir.errors import UsageError


def test_the_entries() -> None:
    assert list(TRANSPORTS) == ["ssh", "local", "ssm", "pod"]
    shared = {field.name for field in dataclasses.fields(Shared)}
    for name, options in TRANSPORTS.items():
        assert not shared & {field.name for field in dataclasses.fields(options)}, name
        assert (options.__doc__ or "").endswith((".", ")."))


def test_ssh() -> None:
    own = SshOptions(["kim@a", "b"], port=2222, no_node_hash=True)
    transport = own.transport("kim@a", Shared())
    assert own.names(Shared()) == ["kim@a", "b"]
    assert (transport.kind, own.node_hash()) == ("ssh", False)


def test_local() -> None:
    own = LocalOptions(root=Path("/host"))
    assert (own.names(Shared()), own.node_hash()) == ([platform.node()], False)
    assert own.transport("x", Shared()).identity()["root"] == "/host"


def test_ssm_and_pod() -> None:
    with pytest.raises(UsageError, match="SSM carries no image by itself"):
        SsmOptions().check(Shared(to="folder"))
    SsmOptions().check(Shared(to="s3://bucket/x"))
    with pytest.raises(UsageError, match="which instance"):
        SsmOptions().names(Shared())
    assert SsmOptions(instance_id=["i-1", "i-2", "i-1"]).names(Shared()) == ["i-1", "i-2"]
    with pytest.raises(UsageError, match="which node"):
        PodAcquireOptions().names(Shared())
    pod = PodAcquireOptions(node=["a", "a"], namespace="kube-system")
    assert (pod.names(Shared()), pod.node_hash()) == (["a"], True)
    assert pod.transport("a", Shared()).kind == "pod"
