# SPDX-License-Identifier: Apache-2.0
"""Audit logs that are written on the node: auditd's, and the API server's where this is a control plane."""

from __future__ import annotations

import json
import re
from typing import Any

from memir.kube.cached_file import CachedFile
from memir.kube.log_line import LogLine, microseconds, text_of

_NAME = re.compile(r"/[^/]*audit[^/]*\.log(?:[.-][0-9TZ.-]+)?(?:\.log)?$")
# auditd(8): type=SYSCALL msg=audit(SECONDS.MILLI:SERIAL): NAME=VALUE ...
_AUDITD = re.compile(rb"(?:node=\S{1,256} )?type=(\S{1,64}) msg=audit\(([0-9]{1,10})\.([0-9]{3}):([0-9]{1,18})\): ?")
_STAGES = ("stageTimestamp", "requestReceivedTimestamp")


def is_audit_log(path: str) -> bool:
    """Whether a path is that of an audit log."""
    return _NAME.search(path[-256:]) is not None


def audit_lines(file: CachedFile) -> list[LogLine]:
    """Events in the order of the file; what is of neither format is left out."""
    lines = []
    for _, raw in file.lines():
        line = _kubernetes(raw) if raw.startswith(b"{") else _auditd(raw)
        if line is not None:
            lines.append(line)
    return lines


def _auditd(raw: bytes) -> LogLine | None:
    match = _AUDITD.match(raw)
    if match is None:
        return None
    time = int(match[2]) * 1_000_000 + int(match[3]) * 1000
    return LogLine(time, text_of(raw[match.end() :]), [f"type={text_of(match[1])}"], sequence=int(match[4]))


def _kubernetes(raw: bytes) -> LogLine | None:
    """audit.k8s.io/v1 Event: who asked for what, and what the answer was."""
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or event.get("kind") != "Event" or "auditID" not in event:
        return None
    user, status = (part if isinstance(part := event.get(name), dict) else {} for name in ("user", "responseStatus"))
    fields = {
        "user": user.get("username"), "code": status.get("code"), "stage": event.get("stage"),
        "auditID": event.get("auditID"), "userAgent": event.get("userAgent"), "sourceIPs": _joined(event),
    }  # fmt: skip
    time = next((event[name] for name in _STAGES if isinstance(event.get(name), str)), "")
    text = f"{event.get('verb')} {event.get('requestURI')}"
    return LogLine(
        microseconds(time),
        text_of(text.encode("utf-8", "replace")),
        [text_of(f"{name}={value}".encode("utf-8", "replace")) for name, value in fields.items() if value],
    )


def _joined(event: dict[str, Any]) -> str:
    listed = event.get("sourceIPs")
    return ",".join(str(address) for address in listed[:16]) if isinstance(listed, list) else ""
