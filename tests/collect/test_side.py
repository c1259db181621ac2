# SPDX-License-Identifier: Apache-2.0
"""The node's side and the one within a pod: what each asks for, says and leaves."""

from __future__ import annotations

import json

from memir.collect.node_side import BESIDE, MODULES
from memir.collect.side import LIVE, Beside, Side
from memir.collect.target import by_uid

UID = "11111111-2222-3333-4444-555555555555"


def test_the_node_s_side() -> None:
    side, target = Side(), by_uid(UID)
    document = json.loads(side.bundle(target, memory=True, rootfs=False))
    assert document["modules"][-1][0].endswith(MODULES[-1])
    assert document["request"] == {"uid": UID, "containers": [], "memory": True, "rootfs": False, "archives": {}}
    assert (side.may(0).level, side.may(7).level) == ("ok", "fail")
    assert side.wanted(memory=True, rootfs=True).endswith("writable layers; whole root file systems")
    assert side.nothing(target) == f"knows no pod of the UID {UID}: is it the node that the pod is on?"
    assert (side.lacks(), side.notes(), side.leaves()) == ((), (LIVE,), ())
    assert [trace.where for trace in side.traces()] == ["RAM", "access times"]


def test_within_the_pod() -> None:
    side, target = Beside(target="t", began=(("t", 5.0),), left="a container"), by_uid(UID)
    document = json.loads(side.bundle(target, memory=False, rootfs=True))
    assert document["modules"][-1][0].endswith(BESIDE[-1])
    assert document["request"] == {
        "uid": UID, "containers": {"t": 5.0}, "memory": False, "rootfs": True, "archives": {},
        "apart": True, "target": "t", "shared": False,
    }  # fmt: skip
    assert (side.may(0).level, side.may(7).level) == ("ok", "warn")
    assert "without SYS_PTRACE" in side.wanted(memory=True, rootfs=False)
    assert side.nothing(target).startswith("no process of the pod is to be seen")
    assert [gap.kind for gap in side.lacks()] == [
        "kernel", "runtime record", "log file", "whiteout", "processes of other containers",
    ]  # fmt: skip
    assert not any(gap.missing for gap in side.lacks())
    assert len(Beside(shared=True).lacks()) == 4
    assert "may be the intruder's" in Beside(apart=False).notes()[2]
    assert len(side.notes()) == 2
    assert (side.leaves(), Beside().leaves()) == (("a container",), ())
    assert side.traces()[0].where == "the pod's RAM"
