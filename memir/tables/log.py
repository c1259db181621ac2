# SPDX-License-Identifier: Apache-2.0
"""The table `log`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from memir.kernel import printk_ringbuffer, random, timekeeping
from memir.kernel.user_memory import anonymous_memory
from memir.kube.audit_log import audit_lines, is_audit_log
from memir.kube.bash_history import heap_commands, is_bash
from memir.kube.cached_file import CachedFile
from memir.kube.container_log import container_lines, is_container_log
from memir.kube.journal import read_journal
from memir.kube.log_files import LogFile, content, log_files
from memir.kube.log_line import LogLine
from memir.kube.owner import NODE, Owner, OwnerBatch
from memir.kube.ram import RamSource
from memir.kube.shell_history import commands, is_history
from memir.kube.utmp import is_utmp, logins
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    time             timestamp    when it was written, UTC, as the log has it; of the kernel by its clock since boot
    origin           string       kernel, journal, container, login (wtmp, btmp, utmp), audit, history (of shells)
    sequence         int64        number of the record in its log; where one is left out, records have been lost; null of a command that bash has dropped and that its heap still holds
    level            string       emerg, alert, crit, err, warning, notice, info or debug
    facility         string       kern, user, daemon, ...
    text             string       the message, secrets masked, other bytes as backslash escapes; null if not in RAM
    fields           list<string> `name=value`: of the kernel's caller, subsystem, device; of others what the log has
    since_boot       int64        nanoseconds since boot, as dmesg shows them; null for another boot
    path             string       the log's file, as its owner sees it; null for the kernel's ring buffer and a shell's heap
    source           string       where the row comes from
""")  # noqa: E501
_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_FACILITIES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp")
_NAMES = re.compile(rb"\.log|wtmp|btmp|utmp|(?:\.journal~?|_history|\.histfile)(?=\0)")


def read(source: RamSource) -> Frame:
    """The kernel's log by sequence number, then files by their path, each in its own order.

    A user who writes to /dev/kmsg is told by the facility.
    """
    data = _kernel(source)
    owners: list[tuple[Owner, ...]] = [(NODE,)] * len(data["time"])
    boot = (random.boot_id(source.kernel) or "").replace("-", "")
    for file in log_files(source, _NAMES):
        origin, parse = _reader(source, file.path)
        if parse is None or file.size <= 0:
            continue
        if not file.cached:
            source.gaps.add(f"{origin} log", file.path, f"none of its {file.size} bytes are in the page cache")
            continue
        for line in parse(content(source, file), file):
            _add(source, data, line, origin, file.path, boot)
            owners.append((source.owners.cgroup(line.cgroup),) if line.cgroup else file.owners)
    _shells(source, data, owners)
    return Frame({**data, **OwnerBatch.of_lists(owners).columns()}, np.zeros(len(owners), np.uint64))


Parse = Callable[[CachedFile, LogFile], list[LogLine]]


def _reader(source: RamSource, path: str) -> tuple[str, Parse | None]:
    """(origin, what reads it) of a file, by where it lies."""

    def counted(origin: str, lines: Callable[[CachedFile], list[LogLine]]) -> tuple[str, Parse]:
        def parse(file: CachedFile, about: LogFile) -> list[LogLine]:
            source.gaps.add(f"{origin} log", about.path, "pages that are not in the page cache", file.missing)
            return lines(file)

        return origin, parse

    if path.endswith((".journal", ".journal~")):
        return "journal", lambda file, about: _journal(source, file, about)
    if is_container_log(path):
        return counted("container", container_lines)
    if is_utmp(path):
        return counted("login", lambda file: logins(file, source.kernel.anchors.arch))
    if is_history(path):
        return counted("history", commands)
    return counted("audit", audit_lines) if is_audit_log(path) else ("", None)


def _journal(source: RamSource, file: CachedFile, about: LogFile) -> list[LogLine]:
    journal = read_journal(file)
    for why, count in journal.holes.items():
        source.gaps.add("journal log", about.path, why, count)
    lost = (journal.stated or 0) - len(journal.lines)
    source.gaps.add("journal log", about.path, "entries that its header counts and that were not reached", max(lost, 0))
    return journal.lines


def _shells(source: RamSource, data: dict[str, Any], owners: list[tuple[Owner, ...]]) -> None:
    """Commands that a bash at work has in its heap; those that ran before its time are in its file."""
    for process in source.processes.rows:
        if process.kernel_thread or not process.alive or not is_bash(process.exe, process.comm):
            continue
        runs = list(anonymous_memory(source.kernel, process.task))
        if not runs:
            source.gaps.add("history log", f"bash {process.pid}", "none of its memory is in the image")
        owner = source.owners.process(process.pid)
        for line in heap_commands(runs):
            line.fields = [f"pid={process.pid}"]
            _add(source, data, line, "history", None, "")
            data["source"][-1] = "heap of bash"
            owners.append(() if owner is None else (owner,))


def _add(source: RamSource, data: dict[str, Any], line: LogLine, origin: str, path: str | None, boot: str) -> None:
    mask = source.secrets
    data["time"].append(line.time)
    data["origin"].append(origin)
    data["sequence"].append(line.sequence)
    data["level"].append(None if line.level is None else _LEVELS[line.level & 7])
    data["facility"].append(None if line.facility is None else _facility(line.facility))
    data["text"].append(None if line.text is None else mask.text(line.text)[0])
    data["fields"].append(mask.environ(line.fields)[0])
    data["since_boot"].append(line.monotonic if line.boot_id == boot and boot else None)
    data["path"].append(path)
    data["source"].append("page cache")


def _facility(number: int) -> str:
    return dict(enumerate(_FACILITIES)).get(number, str(number))


def _kernel(source: RamSource) -> dict[str, Any]:
    every = printk_ringbuffer.log(source.kernel)
    boot, _ = timekeeping.clocks(source.kernel)
    if every is None:
        return {column.name: [] for column in COLUMNS}
    gaps = np.diff(every.sequence)
    lost = int((gaps - 1)[gaps > 1].sum())
    source.gaps.add("kernel log", "ring buffer", "records that have been written over", lost)
    if len(every):
        source.gaps.add("kernel log", "its start", "records that have been written over", int(every.sequence[0]))
    callers = [f"processor {-1 - value}" if value < 0 else f"thread {value}" for value in every.caller.tolist()]
    fields = [
        [
            f"{name}={value}"
            for name, value in (("caller", caller), ("subsystem", subsystem), ("device", device))
            if value
        ]
        for caller, subsystem, device in zip(callers, every.subsystem, every.device, strict=True)
    ]
    return {
        "time": [None if boot is None else (boot + value) // 1000 for value in every.ns.tolist()],
        "origin": ["kernel"] * len(every),
        "sequence": every.sequence.tolist(),
        "level": [_LEVELS[value & 7] for value in every.level.tolist()],
        "facility": [_facility(value) for value in every.facility.tolist()],
        "text": list(every.text),
        "fields": fields,
        "since_boot": every.ns.tolist(),
        "path": [None] * len(every),
        "source": ["printk ring buffer"] * len(every),
    }


TABLE = Table(
    "log",
    "What was written down: the kernel's log, log files and shell histories in the page cache, and heaps of bash.",
    COLUMNS, "task", {"ram": read},
)  # fmt: skip
