# SPDX-License-Identifier: Apache-2.0
"""Whom a reader without SYS_PTRACE may look into, on this kernel, and the reason where it may not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memir.collect.node.access import (
    SYS_PTRACE,
    As,
    credentials,
    ended,
    hidden,
    may,
    neighbours,
    own_tree,
    refusal,
    yama,
)
from tests.acquire.rigs.wait import until
from tests.collect.node.limited import as_user, without

USER = 1000
PYTHON = "/usr/bin/python3"


@contextmanager
def process(user: int, code: str = "") -> Iterator[int]:
    """A process of a user that reads its input."""
    words = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", "--", PYTHON, "-c",
             f"{code}\nprint('up', flush=True); input()"]  # fmt: skip
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        yield running.pid
        running.kill()


def test_a_user_reads_its_own_and_is_refused_others() -> None:
    with process(USER) as mine, process(0) as roots, as_user(USER):
        assert refusal(mine) == ""
        assert may(mine)
        assert may(mine, "maps")
        ours = credentials(mine)
        assert ours is not None
        assert not hidden(mine, ours)
        assert refusal(roots) == "runs as user 0, group 0, this reader as 1000, 1000, without SYS_PTRACE"
        assert not may(roots)
        theirs = credentials(roots)
        assert theirs is not None
        assert (theirs.name, theirs.users, theirs.permitted != 0) == ("python3", (0, 0, 0), True)
    assert credentials(mine) is None
    assert refusal(mine) == "", "it is gone"


def test_what_hides_is_refused_to_its_own_user() -> None:
    hide = "import ctypes; ctypes.CDLL(None).prctl(4, 0)"
    with process(USER, hide) as pid, as_user(USER):
        why = "is not dumpable (prctl PR_SET_DUMPABLE, or its program may not be read), without SYS_PTRACE"
        assert refusal(pid) == why
        theirs = credentials(pid)
        assert theirs is not None
        assert hidden(pid, theirs)


def test_root_without_ptrace_becomes_each_user() -> None:
    with process(USER) as pid, without(SYS_PTRACE):
        assert not may(pid)
        with As(pid):
            assert (os.geteuid(), os.getegid()) == (USER, USER)
            assert may(pid)
            assert b"PATH=" in Path(f"/proc/{pid}/environ").read_bytes()
        assert (os.geteuid(), os.getegid()) == (0, 0)
        with As(os.getpid()):
            assert os.geteuid() == 0
    with process(USER) as pid, without(SYS_PTRACE):
        assert refusal(pid) == ""


def test_capabilities_that_the_reader_lacks() -> None:
    with process(0) as pid, without(SYS_PTRACE):
        assert refusal(pid) == "has capabilities that this reader lacks (80000), without SYS_PTRACE"


def test_ours_are_no_neighbours() -> None:
    tree = own_tree()
    assert tree[0] == os.getpid()
    assert os.getppid() in tree
    with process(USER) as pid:
        until(lambda: pid in neighbours(False))
        known = neighbours(False)
        assert known[pid] == ["pid"]
        assert not set(tree) & known.keys()
        assert pid not in neighbours(True), "it has our mount namespace: it is a container of ours"


def test_yama() -> None:
    path = Path("/proc/sys/kernel/yama/ptrace_scope")
    assert yama() == (path.read_text().strip() if path.exists() else "")


def test_one_that_has_ended_is_not_refused() -> None:
    with subprocess.Popen(["sleep", "0"]) as running, as_user(USER):
        until(lambda: ended(running.pid), lambda: "it does not end")
        assert credentials(running.pid) is not None, "a zombie is listed"
        assert refusal(running.pid) == ""
    assert ended(running.pid)
    assert not ended(os.getpid())
