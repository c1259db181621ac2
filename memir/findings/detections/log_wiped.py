# SPDX-License-Identifier: Apache-2.0
"""A log file that is written to and has no name any more."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

_SQL = """
    select pid, path, any_value(inode) as inode, any_value(device) as device from files
    where use = 'fd' and deleted and kind = 'regular'
      and (starts_with(path, '/var/log/') or starts_with(path, '/run/log/'))
    group by pid, path
"""


def _find(look: Look) -> Iterator[Match]:
    for file in look.ask(_SQL):
        row = look.process(file["pid"])
        rotated = file["path"].endswith((".journal", ".1", ".gz")) or "@" in file["path"]
        yield Match(
            "low" if rotated else "medium",
            "its name is that of a log which was rotated" if rotated else "rotation renames a log before it removes it",
            f"pid {file['pid']} {short(row.get('comm'))} ({where(row)}) writes to {short(file['path'])}, which has "
            f"been "
            "deleted",
            row, (Proof("files", f"pid = {file['pid']} and inode = {file['inode']} and use = 'fd'"),), file["path"],
        )  # fmt: skip


DETECTION = Detection(
    kind="log-wiped",
    title="Log that was deleted while it was written",
    how="A process has a regular file below /var/log or /run/log open whose name has been unlinked. Low where the "
    "name is "
    "that of a rotated log, else medium.",
    technique="T1070.002",
    tables=("files", "processes"),
    find=_find,
    why="Who deletes a log that is in use wants it unread; what is still in the page cache can be read from the image.",
    check_next=("the file's pages: what memory still caches of it", "who deleted it: shells and sessions of that time"),
    benign=("rotation without copytruncate of a program that was not told to open its log anew",),
    missed=("a log that was truncated or edited in place, and dmesg -C", "a log of a program that has closed it"),
    gaps=("open file",),
    also_known=("Falco: Clear Log Activities",),
)
