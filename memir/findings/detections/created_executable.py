# SPDX-License-Identifier: Apache-2.0
"""An executable that was made or changed in a container after its start."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Severity, of_file, short
from memir.findings.look import Look, Row, where

_SQL = """
    select * from inodes where kind = 'regular' and noise is null and (mode & 73) > 0 and size > 0 and not freed
      and (layer = 'upper' and change in ('created', 'modified')
           or layer = 'tmpfs' and pod_uid is not null and container_path is not null
              and not regexp_matches(coalesce(node_path, ''), '~(secret|projected|downward-api)/'))
"""
_SETID = 0o6000


def _find(look: Look) -> Iterator[Match]:
    for file in look.ask(_SQL):
        severity, reason = _judge(file)
        path = file["container_path"] or file["path"] or f"inode {file['inode']}"
        known = file["pod_uid"] or file["container_id"]
        place = f"{file['device'] or file['container_id']} {file['inode'] or ''}"
        yield Match(
            severity, reason,
            f"{short(path)} in {where(file) if known else 'a container that is not known'} was "
            f"{file['change'] or 'put into a file system of RAM, which began empty,'} after the container's start"
            f"{', and has been deleted' if file['deleted'] else ''}"
            f"{', sha256 ' + file['sha256'] if file['sha256'] else ''}",
            file, (of_file(file),), path,
            first_seen=file["btime"] or file["mtime"], subject=f"{place} {path}",
        )  # fmt: skip


def _judge(file: Row) -> tuple[Severity, str]:
    if file["mode"] & _SETID:
        return "high", "it runs with another user's or group's rights"
    return "medium", "images bring their programs with them; what comes later was brought in"


DETECTION = Detection(
    kind="created-executable",
    title="Executable that came into a container after its start",
    how="A regular file with a right to execute lies on a container's upper layer and is no mount point, bytecode or "
    "work of the runtime, or on a tmpfs of its pod (/dev/shm, a volume in memory) that is no secret's. High with "
    "set-user-id or set-group-id, else medium.",
    technique="T1105",
    tables=("inodes",),
    find=_find,
    why="What runs and did not come with the image is not in its scan, its signature or its source.",
    check_next=("its hash, where all of it was read", "who ran it: table processes, deleted-executable"),
    benign=("package managers and installers at a container's start", "build containers"),
    missed=("files on volumes of disks, and those whose inode memory does not hold any more", "scripts that are given "
            "to their interpreter", "of a collected pod: what lies on a tmpfs"),
    gaps=("inode", "dentry"),
    also_known=("Falco: Drop and execute new binary in container", "GuardDuty: Execution:Runtime/NewBinaryExecuted"),
)  # fmt: skip
