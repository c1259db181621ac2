# SPDX-License-Identifier: Apache-2.0
"""Which list of its pod's spec a container stands in, by the events that the kubelet sent.

client-go (tools/record/events_cache.go, getEventKey) keeps a key for each of the last 4,096 events, to count those
that come again: "kubelet" HOST "Pod" NAMESPACE NAME FIELDPATH UID "v1" TYPE REASON MESSAGE, without anything between
them. FIELDPATH is spec.initContainers{NAME} and the like (k8s.io/kubernetes pkg/kubelet/container/ref.go). A status is
written over soon after it was sent; these keys stay while the kubelet lives, and every container has some.
Whoever writes a pod's spec can have such text in the kubelet's memory too: what else tells a kind goes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from memir.kube.literals import matches

SpecKind = Literal["container", "init", "ephemeral"]
_LISTS: dict[bytes, SpecKind] = {
    b"containers": "container",
    b"initContainers": "init",
    b"ephemeralContainers": "ephemeral",
}
# a static pod's UID is the hash of its file, without hyphens
_KEY = re.compile(
    rb"Pod[a-z0-9.-]{2,316}spec\.(containers|initContainers|ephemeralContainers)\{([a-z0-9-]{1,63})\}"
    rb"([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})v1(?:Normal|Warning)"
)
MAX_KEYS = 100_000  # bounds what a hostile process may have planted


def spec_kinds(pieces: Iterable[bytes]) -> dict[tuple[str, str], SpecKind]:
    """Pieces of the kubelet's memory to (pod UID, container's name) and its kind.

    A pair that keys tell two kinds of is left out: the API allows a name once in a pod, so someone planted one.
    """
    kinds: dict[tuple[str, str], SpecKind] = {}
    torn: set[tuple[str, str]] = set()
    for piece in pieces:
        for match in matches(_KEY, piece, [b"ontainers{"], 352, 136):
            key = match.group(3).decode(), match.group(2).decode()
            if kinds.setdefault(key, _LISTS[match.group(1)]) != _LISTS[match.group(1)]:
                torn.add(key)
            if len(kinds) >= MAX_KEYS:
                break
    return {key: kind for key, kind in kinds.items() if key not in torn}
