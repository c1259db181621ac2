# SPDX-License-Identifier: Apache-2.0
"""A process that has the name of another program."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_SERVICES = frozenset({
    "agetty", "apache2", "auditd", "aws-node", "bash", "chronyd", "containerd", "containerd-shim", "coredns",
    "cron", "crond", "crio", "dbus-daemon", "dockerd", "etcd", "getty", "httpd", "kube-apiserver", "kube-proxy",
    "kubelet", "login", "multipathd", "mysqld", "nginx", "ntpd", "pause", "polkitd", "postgres", "redis-server",
    "rsyslogd", "runc", "snapd", "sshd", "sudo", "systemd", "systemd-journald", "systemd-logind",
    "systemd-networkd", "systemd-resolved", "systemd-udevd", "udevd",
})  # fmt: skip
"""Programs that nobody looks at twice, on nodes and in containers; and those that run on this node."""
_MANY_NAMES = re.compile(
    r"(python|perl|ruby|node|nodejs|php|java|lua|luajit|bash|sh|dash|zsh|ksh|busybox|toybox|coreutils|deno|bun|mono|dotnet"
    r"|ld-linux|ld-musl|k3s|rke2|hyperkube|kubelite|qemu|systemd|init|catatonit|tini|dumb-init|go-runner)([-.\d].*)?"
)
"""Programs that run others' code under its name, or that are many programs in one."""
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/")
_ANYONE = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/", "/memfd:")
"""Where whoever runs in a container or on the node may write."""


def _find(look: Look) -> Iterator[Match]:
    running = {_base(row["exe"]) for row in look.rows("processes") if row["exe"] and not row["exe_deleted"]}
    for row in look.rows("processes"):
        if row["kernel_thread"] or not row["exe"] or not row["args"]:
            continue
        claim = _claim(row, _SERVICES | running)
        if claim is None:
            continue
        severity, reason = claim
        yield Match(
            severity, reason,
            f"pid {row['pid']} ({where(row)}) is named {short(row['comm'])}, calls itself {short(row['args'][0])}, and "
            f"runs {short(row['exe'])}",
            row, (Proof("processes", f"pid = {row['pid']}"),), row["exe"],
        )  # fmt: skip


def _claim(row: Row, names: frozenset[str] | set[str]) -> tuple[Severity, str] | None:
    """(severity, why) of a name that is another program's, None for one that is its own."""
    exe, word = row["exe"], row["args"][0].split(": ")[0].split(" ")[0]
    program, first, comm = _base(exe), _base(word.removeprefix("-")), _base((row["comm"] or "").split(":")[0])
    if word.startswith(_SYSTEM) and exe.startswith(_ANYONE):
        return "medium", "its first argument is a path of the system's, and it runs a file from where anyone writes"
    # a program that is run by another name of its (a link) has that name in both; what forks has none of its own yet
    if comm == first or _MANY_NAMES.fullmatch(program) or (row["comm"] or "").startswith("("):
        return None
    for told, name in (("task's name", comm), ("first argument", first)):
        if name in names and not _alike(name, program):
            known = "a program that runs on this node" if name not in _SERVICES else "a program of many nodes"
            reason = f"its {told} is that of {known}, {name}; its file is another's"
            return ("low" if exe.startswith(_SYSTEM) else "medium"), reason
    return None


def _base(path: str) -> str:
    """The name of a program, in lower case; of a memfd what its maker called it."""
    name = path.removeprefix("/memfd:") if path.startswith("/memfd:") else path.rstrip("/").rpartition("/")[2]
    return name.strip("[]").rstrip(":").lower()


def _alike(name: str, program: str) -> bool:
    """Whether one is the other with something behind it (php-fpm, php-fpm8.2), or as far as a task's name goes."""
    near = program.startswith(name) or name.startswith(program) or name[:15] == program[:15]
    return name == program or (len(name) > 1 and near)


DETECTION = Detection(
    kind="borrowed-name",
    title="Process with the name of another program",
    how="A process's task name (comm), the first word of its arguments and its file are held against each other. Told "
    "is who bears, as one of them, the name of another program that runs on this node or on most (sshd, nginx, "
    "kubelet), while the other differs and the file is no interpreter; and whose first argument is a path below /usr, "
    "/bin, /sbin, /lib or /opt while its file lies where anyone writes. Medium; low for a file below those.",
    technique="T1036.005",
    tables=("processes",),
    find=_find,
    why="prctl, and exec -a of a shell, give any process any name; ps and top show that name, and not the file.",
    check_next=("the file itself: `memir extract files IMAGE -o DIR --pid PID`, its hash (exe_sha256)",
                "who started it (ppid), when, and what it is connected to"),
    benign=("a service that names its process for the work it does (setproctitle, Thread.setName) as another program",
            "a wrapper that starts a program with another's first argument (exec -a, systemd's ExecStart=@)",
            "a program that was moved to /tmp or /run before it ran (self-unpacking binaries, CI runners)"),
    missed=("a file that was itself named as the program is (program-from-host-path, created-executable)",
            "scripts: python, perl, sh and the like set any title", "a name that is nobody's",
            "a name given to both the task and the arguments: links (sh to dash) look the same"),
    gaps=("exe", "args"),
)  # fmt: skip
