# SPDX-License-Identifier: Apache-2.0
"""Which processes the kernel lets a reader without SYS_PTRACE look into, and why not the others.

The rules: ptrace(2), "Ptrace access mode checking"; __ptrace_may_access in kernel/ptrace.c. What /proc has of memory,
environment, maps, open files and root is behind them; status, stat, arguments, cgroup and limits are not. A reader must
have the process's user and group (by file system ids, so that a reader who may change its own becomes that user), no
fewer capabilities than it, and the process must be dumpable. /proc/PID/mem asks for more than the rest: Yama may keep
it for parents alone.
"""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from memir.collect.node.procfs import link, pids, read, text

SYS_PTRACE = 19


class Credentials(NamedTuple):
    """A process's, as /proc/PID/status has them. users, groups: real, effective, saved; permitted, effective: bits."""

    name: str
    users: Tuple[int, ...]
    groups: Tuple[int, ...]
    permitted: int
    effective: int


def credentials(pid: Any) -> Optional[Credentials]:
    """Of a process, or of "self"; None if it is gone."""
    try:
        rows = dict(row.partition(":")[::2] for row in text(read("/proc/%s/status" % pid, 1 << 16)).split("\n"))
        users, groups = (tuple(int(word) for word in rows[key].split()[:3]) for key in ("Uid", "Gid"))
        return Credentials(rows["Name"].strip(), users, groups, int(rows["CapPrm"], 16), int(rows["CapEff"], 16))
    except (OSError, KeyError, ValueError):
        return None


def own_tree() -> List[int]:
    """This process and those above it, to the one whose parent is not to be seen from here."""
    out: List[int] = []
    pid = os.getpid()
    while pid > 1 and pid not in out:
        out.append(pid)
        words = text(read("/proc/%d/stat" % pid, 4096)).rpartition(")")[2].split()
        pid = int(words[1])
    return out


def neighbours(apart: bool) -> Dict[int, List[str]]:
    """The processes that are to be seen but our own. apart: we are in a container of our own, whose mount namespace
    no process of the pod has; else (an exec) we are in the pod's."""
    own, mounts = own_tree(), link("/proc/self/ns/mnt")
    return {
        pid: ["pid"] for pid in pids()
        if pid not in own and not (apart and mounts and link("/proc/%d/ns/mnt" % pid) == mounts)
    }  # fmt: skip


class As:
    """While it is entered, this process has the user and group of another, if it may and if that helps."""

    def __init__(self, pid: int) -> None:
        self._pid, self._before = pid, (-1, -1)

    def __enter__(self) -> None:
        theirs = credentials(self._pid)
        if os.geteuid() == 0 and theirs is not None and theirs.users[1] != 0 and not may(self._pid):
            self._before = (os.geteuid(), os.getegid())
            try:
                os.setegid(theirs.groups[1])
                os.seteuid(theirs.users[1])
            except OSError:
                self.__exit__()

    def __exit__(self, *_: object) -> None:
        user, group = self._before
        if user >= 0:
            os.seteuid(user)
            os.setegid(group)
            self._before = (-1, -1)


def may(pid: int, name: str = "mem") -> bool:
    """Whether a file of a process may be opened as we are now."""
    try:
        os.close(os.open("/proc/%d/%s" % (pid, name), os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def refusal(pid: int) -> str:
    """Why a process may not be looked into, "" if it may, or is gone."""
    with As(pid):
        if may(pid):
            return ""
        listed = may(pid, "maps")
    theirs, ours = credentials(pid), credentials("self")
    if theirs is None or ours is None or ended(pid):
        return ""
    if ours.effective >> SYS_PTRACE & 1:
        return "refused although this reader has SYS_PTRACE: by a security module"
    if listed and yama() not in ("", "0"):
        return "kernel.yama.ptrace_scope is %s: memory is for a parent or SYS_PTRACE alone" % yama()
    if os.geteuid() != 0 and set(theirs.users) | set(theirs.groups) != {os.geteuid(), os.getegid()}:
        return "runs as user %d, group %d, this reader as %d, %d, without SYS_PTRACE" % (
            theirs.users[1], theirs.groups[1], os.geteuid(), os.getegid(),
        )  # fmt: skip
    if len(set(theirs.users)) > 1 or len(set(theirs.groups)) > 1:
        return "its real, effective and saved users or groups differ (%s), without SYS_PTRACE" % (
            ", ".join(map(str, theirs.users + theirs.groups))
        )
    if theirs.permitted & ~ours.effective:
        return "has capabilities that this reader lacks (%x), without SYS_PTRACE" % (theirs.permitted & ~ours.effective)
    if hidden(pid, theirs):
        return "is not dumpable (prctl PR_SET_DUMPABLE, or its program may not be read), without SYS_PTRACE"
    if os.geteuid() == 0 and theirs.users[1]:
        return (
            "runs as user %d, whom this reader may not become (no SETUID, SETGID), without SYS_PTRACE"
            % (theirs.users[1])
        )
    return "is not dumpable, or a security module forbids it, without SYS_PTRACE"


def ended(pid: int) -> bool:
    """Whether a process has ended, and waits for its parent (a zombie) if it is still listed: it has no memory."""
    try:
        return text(read("/proc/%d/stat" % pid, 4096)).rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return True


def hidden(pid: int, theirs: Credentials) -> bool:
    """Whether a process that is not root's has made itself undumpable: its files in /proc are root's then, proc(5)."""
    try:
        return theirs.users[1] != 0 and os.stat("/proc/%d/stat" % pid).st_uid == 0
    except OSError:
        return False


def yama() -> str:
    """kernel.yama.ptrace_scope, "" where Yama is not."""
    try:
        return text(read("/proc/sys/kernel/yama/ptrace_scope", 64)).strip()
    except OSError:
        return ""
