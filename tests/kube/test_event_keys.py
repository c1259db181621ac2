# SPDX-License-Identifier: Apache-2.0
"""Keys of the kubelet's events, as they lie in the memory of a kubelet 1.34, and what only looks like one."""

from __future__ import annotations

import pytest

from memir.kube.event_keys import MAX_KEYS, spec_kinds
from tests.fuzz import cases, mutations

HOST = b"kubeletip-10-0-1-23.ec2.internal"
ORDERS, GUARD = "c1ff8dd5-b99b-42b1-bc08-368438cb1af7", "d26a0d8763e665267502bbd76329fa75"
# with the bytes around them, from the EKS-shaped node's RAM
MEMORY = (
    b"pids.current\0\0\0\0" + HOST + b"Podshoporders-84c85688d6-86zswspec.ephemeralContainers{debugger}"
    b'c1ff8dd5-b99b-42b1-bc08-368438cb1af7v1NormalPulledContainer image "docker.io/library/busybox:1.35" already',
    b'ube-proxy")\0\0\0\0\0' + HOST + b"Podshoporders-84c85688d6-86zswspec.initContainers{log-shipper}"
    b"c1ff8dd5-b99b-42b1-bc08-368438cb1af7v1NormalCreatedCreated container: log-shipper\0kubepods.slice/",
    b".max\0en\0current\0" + HOST + b"Podkube-systemnode-guard-ip-10-0-1-23.ec2.internalspec.containers{guard}"
    b"d26a0d8763e665267502bbd76329fa75v1NormalStartedStarted container guard\0\0" + HOST + b"Podkube-sy",
)
KINDS = {(ORDERS, "debugger"): "ephemeral", (ORDERS, "log-shipper"): "init", (GUARD, "guard"): "container"}


def test_keys_of_a_kubelet() -> None:
    assert spec_kinds(MEMORY) == KINDS
    assert spec_kinds([b"".join(MEMORY), b"", bytes(4096)]) == KINDS
    assert spec_kinds([]) == {}


@pytest.mark.parametrize(
    "text",
    [
        b'fieldPath":"spec.containers{flaky}","uid":"c1ff8dd5-b99b-42b1-bc08-368438cb1af7"',  # an event, not its key
        b"Podshopaspec.initContainers{b}c1ff8dd5v1Normal",  # no UID
        b"Podshopaspec.initContainers{b}c1ff8dd5-b99b-42b1-bc08-368438cb1af7v2Normal",  # another version of the API
        b"Podshopaspec.volumes{b}c1ff8dd5-b99b-42b1-bc08-368438cb1af7v1Normal",
        b"NodeshopAspec.containers{b}c1ff8dd5-b99b-42b1-bc08-368438cb1af7v1Normal",
    ],
)
def test_what_is_no_key(text: bytes) -> None:
    assert spec_kinds([text]) == {}


def test_a_pair_of_two_kinds_is_not_told() -> None:
    """Whoever plants a key for another's container makes it unknown, no more."""
    planted = MEMORY[1].replace(b"initContainers", b"ephemeralContainers")
    assert spec_kinds([*MEMORY, planted]) == {key: kind for key, kind in KINDS.items() if key[1] != "log-shipper"}


def test_no_end_of_keys_is_read() -> None:
    many = b"".join(
        b"Podaaspec.containers{c%d}c1ff8dd5-b99b-42b1-bc08-368438cb1af7v1Normal" % number
        for number in range(MAX_KEYS + 5)
    )
    assert len(spec_kinds([many])) == MAX_KEYS


def test_fuzz() -> None:
    whole = 0
    for data in mutations(MEMORY, cases()):
        kinds = spec_kinds([data])
        assert len(kinds) <= 2
        whole += kinds.items() <= KINDS.items() and bool(kinds)
    assert whole > cases() // 4
