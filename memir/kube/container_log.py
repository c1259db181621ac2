# SPDX-License-Identifier: Apache-2.0
"""What containers wrote to stdout and stderr, as the kubelet's and Docker's log files have it.

CRI: kubernetes/kubernetes pkg/kubelet/kuberuntime/logs, `TIME STREAM P|F TEXT`; P is a part of a line. Docker:
json-file, {"log", "stream", "time"} a line.
"""

from __future__ import annotations

import json
import re

from memir.kube.cached_file import CachedFile
from memir.kube.log_line import MAX_TEXT, LogLine, microseconds, text_of

_PATH = re.compile(
    r"/pods/[^/]+/[^/]+/[0-9]+\.log(?:\.[0-9-]+)?$|/containers/([0-9a-f]{64})/\1-json\.log(?:\.[0-9]+)?$"
)
_CRI = re.compile(rb"([0-9]{4}-[0-9:.T-]{14,32}(?:Z|[+-][0-9]{2}:[0-9]{2})) (stdout|stderr) ([FP])(?::[^ ]*)?(?: |$)")


def is_container_log(path: str) -> bool:
    """Whether a path on the node is that of a container's log."""
    return _PATH.search(path[-4096:]) is not None


def container_lines(file: CachedFile) -> list[LogLine]:
    """Lines in the order of the file, those in parts joined; what is of neither format is left out."""
    lines: list[LogLine] = []
    parts: dict[bytes, LogLine] = {}
    for _, raw in file.lines():
        match = _CRI.match(raw)
        if match is None:
            line = _docker(raw)
            if line is not None:
                lines.append(line)
            continue
        time, stream, partial = match[1], match[2], match[3] == b"P"
        text = text_of(raw[match.end() :])
        begun = parts.pop(stream, None)
        if begun is None:
            begun = LogLine(microseconds(time.decode()), text, [f"stream={stream.decode()}"])
            lines.append(begun)
        elif len(begun.text or "") < MAX_TEXT:
            begun.text = (begun.text or "") + text
        if partial:
            parts[stream] = begun
    return lines


def _docker(raw: bytes) -> LogLine | None:
    if not raw.startswith(b"{"):
        return None
    try:
        entry = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    text, stream, time = (entry.get(name) for name in ("log", "stream", "time"))
    if not isinstance(text, str) or not isinstance(time, str):
        return None
    fields = [f"stream={stream}"] if stream in ("stdout", "stderr") else []
    return LogLine(microseconds(time), text_of(text.removesuffix("\n").encode("utf-8", "replace")), fields)
