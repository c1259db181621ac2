# SPDX-License-Identifier: Apache-2.0
"""Whose a namespace is: of who was given it."""

from __future__ import annotations

from dataclasses import replace

from memir.kube.membership import memberships
from memir.kube.owner_batch import NODE, Owner
from memir.kube.residents import residents
from memir.kube.runtime import RuntimeFiles
from tests.kube.test_identity import INIT, process

CONTAINER, OTHER = Owner("a" * 64), Owner("b" * 64)
GUEST, NSENTER = replace(INIT, pid=11, task=11), replace(INIT, pid=12, task=12)
OWNERS = {INIT.task: CONTAINER, GUEST.task: OTHER, NSENTER.task: NODE}
ROWS = [("mnt", INIT), ("mnt", GUEST), ("mnt", NSENTER), ("own", GUEST)]


def test_the_first_process_decides() -> None:
    known = memberships([process(1, 0, "/init.scope", {}), INIT], RuntimeFiles({}), None)
    (container,) = known.init
    assert residents(ROWS, OWNERS, known) == {"mnt": (CONTAINER,), "own": (OTHER,)}
    # one that stands for a first process that is not known still comes before strangers
    known.stand_in.add(container)
    assert residents(ROWS, OWNERS, known)["mnt"] == (CONTAINER,)
    # of the node's own it is an owner beside the node; who stepped onto it is none
    assert residents(ROWS, OWNERS, known, {"mnt"})["mnt"] == (NODE, CONTAINER)
    known.init.clear()
    assert residents(ROWS, OWNERS, known) == {"mnt": (NODE, CONTAINER, OTHER), "own": (OTHER,)}
    assert residents(ROWS, OWNERS, known, {"mnt"})["mnt"] == (NODE,)
    assert residents([], OWNERS, known) == {}
