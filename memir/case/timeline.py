# SPDX-License-Identifier: Apache-2.0
"""What happened when, by the tables of a case: one event a row, made by SQL over the tables, whatever their length.

A kind of event is one entry of EVENTS: the table, the select that gives its time, words and key, and what Plaso
calls such a time (timestamp_desc). Times are those of the tables: the image's own clock, UTC.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.case.event import COLUMNS, Event, same
from memir.case.log_events import LOG_EVENTS
from memir.case.query import ask, datasets
from memir.case.read_record import read_record
from memir.errors import CaseError, UsageError

if TYPE_CHECKING:
    from memir.case.query import Answer

_LISTED = 10
"""Pods that a message lists."""
_FILE = "coalesce(container_path, node_path, path, 'a file without name')"
_FILE_KEY = "'address = ' || address || ' and inode = ' || inode"
_DRIFT = "change is not null and noise is null"
_LOGIN = ("(origin = 'login' or (origin = 'journal' "
          "and regexp_matches(text, '^Accepted [a-z/-]+ for .+ from .+ port [0-9]+')))")  # fmt: skip
"""wtmp's and its siblings' records, and what sshd writes when it lets somebody in."""
_CONTAINER = "coalesce(container_name, kind) || ' of ' || coalesce(image, 'an image not known')"
EVENTS = (
    Event("process-start", "processes", "start_time",
          "'pid ' || pid || ' ' || coalesce(comm, '?') || coalesce(': ' || array_to_string(args, ' '), '')",
          "'pid = ' || pid || ' and task = ' || task", "Start Time"),
    Event("container-start", "containers", "started_at", _CONTAINER, same("container_id"), "Start Time"),
    Event("container-end", "containers", "finished_at",
          _CONTAINER + " || coalesce(', exit code ' || exit_code, '') || coalesce(', ' || reason, '')",
          same("container_id"), "End Time"),
    Event("pod-deletion", "pods", "deleted_at", "'the API was asked to delete the pod: its grace period ends'",
          same("pod_uid"), "Deletion Time"),
    Event("file-created", "inodes", "btime", _FILE, _FILE_KEY, "Creation Time", _DRIFT),
    Event("file-modified", "inodes", "mtime", _FILE, _FILE_KEY, "Content Modification Time",
          f"{_DRIFT} and kind <> 'directory'"),
    Event("file-changed", "inodes", "ctime", _FILE + " || if(deleted, ' (deleted)', '')", _FILE_KEY,
          "Metadata Modification Time", f"{_DRIFT} and kind <> 'directory'"),
    Event("bpf-load", "bpf", "time", "type || ' ' || coalesce(name || ' ', '') || 'id ' || id",
          f"{same('kind')} || ' and id = ' || id", "Start Time", "kind = 'program'"),
    Event("log", "log", "time", "origin || ': ' || text",
          f"{same('origin')} || ' and ' || {same('path')} || ' and sequence ' || coalesce('= ' || sequence, 'is null')",
          "Content Time", f"text is not null and not {_LOGIN}", order="sequence"),
    Event("login", "log", "time", "text",
          f"{same('path')} || ' and ' || {same('text')} || ' and sequence ' || coalesce('= ' || sequence, 'is null')",
          "Event Time", f"text is not null and {_LOGIN}"),
    Event("connection", "conntrack", "start_time",
          "protocol || ' ' || orig_src || coalesce(':' || orig_src_port, '') || ' to ' || orig_dst "
          "|| coalesce(':' || orig_dst_port, '') || coalesce(', ' || state, '') "
          "|| coalesce(', ' || bytes || ' bytes', '')",
          "'entry = ' || entry", "Start Time"),
    Event("finding", "findings", "first_seen", "severity || ' ' || kind || ': ' || title", same("id"), "Event Time"),
)  # fmt: skip
"""Every kind of event. A file's times are listed where a container changed it: an image's own files are old."""
__all__ = ["COLUMNS", "EVENTS", "KINDS", "NOTES", "WORDS", "Event", "check_pod", "missing", "of_pod", "timeline"]
KINDS = tuple(event.kind for event in (*EVENTS, *LOG_EVENTS))
NOTES = {"process-start": "a process starts when it is forked: the program that it runs may have been started later"}
"""What a kind's time is, where its name may be taken for something else."""
WORDS = {event.kind: event.words for event in (*EVENTS, *LOG_EVENTS)}


def timeline(
    folder: str | Path,
    *,
    pod: str | None = None,
    kinds: Sequence[str] = (),
    begin: datetime | None = None,
    end: datetime | None = None,
    logs: Mapping[str, Any] | None = None,
) -> Answer:
    """Events of a case in the order of time: COLUMNS. begin, end: [begin, end).

    pod: NAME, NAMESPACE/NAME or UID. A kind whose table the case lacks gives no row: missing() says which. logs: tables
    of logs beside the case's own (memir.case.logs), in the place of those of their name. UsageError for a kind or a pod
    that there is not, CaseError if the folder is no case or has none of the tables.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise UsageError(f"kind {unknown[0]!r}: there are {', '.join(KINDS)}")
    read_record(Path(folder))
    tables = datasets(Path(folder), reveal=False) | dict(logs or {})
    wanted = [event for event in (*EVENTS, *LOG_EVENTS) if event.kind in kinds or not (kinds or event.quiet)]
    chosen = [event for event in wanted if event.table in tables]
    if not chosen:
        remedy = f"`memir analyze IMAGE -o {shlex.quote(str(folder))} --force` makes them"
        raise CaseError(f"{folder} has no table with times of these kinds: {remedy}")
    if pod is not None and "pods" in tables:
        check_pod(tables, pod)
    union = " union all ".join(event.select() for event in chosen)
    return ask(
        {event.table: tables[event.table] for event in chosen},
        f"select {', '.join(COLUMNS)} from ({union}) where {_condition(pod, begin, end)} "
        "order by time, kind, sequence_, text, key",
    )


def missing(folder: str | Path) -> dict[str, list[str]]:
    """Kinds of events that a case cannot give, by the table of RAM that it lacks."""
    present = datasets(Path(folder), reveal=False)
    lacking: dict[str, list[str]] = {}
    for event in EVENTS:
        if event.table not in present:
            lacking.setdefault(event.table, []).append(event.kind)
    return lacking


def check_pod(tables: Mapping[str, Any], pod: str) -> None:
    """UsageError, which lists the pods that there are, if the case's table `pods` has none of this name or UID."""
    known = ask({"pods": tables["pods"]}, f"select 1 from pods where {of_pod(pod)}").rows
    if not known:
        names = ask({"pods": tables["pods"]}, "select namespace || '/' || pod_name as n from pods order by n").rows
        listed = ", ".join(str(name) for (name,) in names[:_LISTED] if name)
        raise UsageError(f"pod {pod!r} is not in the case; it has {listed or 'none'}")


def _condition(pod: str | None, begin: datetime | None, end: datetime | None) -> str:
    conditions = ["true"]
    if pod is not None:
        conditions.append(of_pod(pod))
    for limit, sign in ((begin, ">="), (end, "<")):
        conditions += [f"time {sign} timestamptz '{limit.isoformat()}'"] if limit is not None else []
    return " and ".join(conditions)


def of_pod(pod: str) -> str:
    """SQL: whether a row is of this pod (NAME, NAMESPACE/NAME or UID)."""
    namespace, _, name = pod.rpartition("/")
    condition = f"(pod_name = {_quoted(name)} or pod_uid = {_quoted(name)})"
    return f"{condition} and namespace = {_quoted(namespace)}" if namespace else condition


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
