# SPDX-License-Identifier: Apache-2.0
"""What is said of a task that was looked at from within."""

from __future__ import annotations

from memir.collect.ecs.side import TaskSide


def test_in_words() -> None:
    side = TaskSide(target="c")
    assert side.permanent and not side.apart
    assert "without SYS_PTRACE" in side.wanted(memory=True, rootfs=False)
    assert "with SYS_PTRACE" in TaskSide(ptrace=True).wanted(memory=True, rootfs=False)
    assert [gap.kind for gap in side.lacks()] == ["kernel", "node", "whiteout", "processes of other containers"]
    assert [gap.kind for gap in TaskSide(shared=True).lacks()] == ["kernel", "node", "whiteout"]
    assert "may be the intruder's" in side.notes()[2]
    assert side.traces()[2].what == "ECS Exec's agent keeps a file of the session while it runs"
    assert side.leaves() == ()
