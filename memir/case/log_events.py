# SPDX-License-Identifier: Apache-2.0
"""Events of a timeline that logs of the cluster and the account give."""

from __future__ import annotations

from memir.case.event import Event, same

_LINE = f"{same('log')} || ' and line = ' || line"
_WHO = "coalesce(\"user\", 'nobody') || coalesce(' as ' || impersonated, '') || coalesce(' from ' || source_ips[1], '')"
_OBJECT = "coalesce(object_namespace || '/', '') || coalesce(object_name, '')"
_ANSWER = "coalesce(', HTTP ' || code, '')"
_READ = "verb in ('get', 'list', 'watch') and coalesce(code, 200) < 400 and resource is distinct from 'secrets'"
_SESSION = "coalesce(subresource in ('exec', 'attach', 'portforward'), false)"
_ONCE = "coalesce(stage, 'ResponseComplete') in ('ResponseComplete', 'Panic')"
_AUDIT = (
    f"{_WHO} || ': ' || coalesce(verb, '?') || ' ' || coalesce(resource, request_uri, '?') "
    f"|| coalesce('/' || subresource, '') || ' ' || {_OBJECT} || {_ANSWER}"
)
LOG_EVENTS = (
    Event("session", "sessions", "time",
          f"kind || ' of ' || {_OBJECT} || ' by ' || {_WHO} || {_ANSWER} "
          "|| coalesce(': ' || array_to_string(command, ' '), '') "
          "|| coalesce('; left ' || array_to_string(pids, ', '), '')",
          same("audit_id"), "Start Time"),
    Event("session-end", "sessions", "end", f"kind || ' of ' || {_OBJECT} || ' by ' || {_WHO}", same("audit_id"),
          "End Time"),
    Event("audit", "audit", "time", _AUDIT, _LINE, "Event Time", f"{_ONCE} and not {_SESSION} and not ({_READ})"),
    Event("audit-read", "audit", "time", _AUDIT, _LINE, "Event Time", f"{_ONCE} and not {_SESSION} and {_READ}",
          quiet=True),
    Event("iam-login", "authenticator", "time",
          "coalesce(message, '?') || ': ' || coalesce(arn, '?') || coalesce(' as ' || \"user\", '') "
          "|| coalesce(', ' || error, '')", _LINE, "Event Time"),
    Event("cloudtrail", "cloudtrail", "time",
          "coalesce(arn, user_name, identity_type, '?') || coalesce(' from ' || source_ip, '') || ': ' || event_source "
          "|| ' ' || event_name || coalesce(', ' || error_code, '') || coalesce(', gave out ' || issued_key, '')",
          _LINE, "Event Time"),
    Event("guardduty", "guardduty", "time",
          "coalesce(severity || ' ', '') || coalesce(type, '?') || coalesce(': ' || title, '')", _LINE, "Event Time"),
    Event("flow", "flowlogs", "time",
          "coalesce(src, '?') || coalesce(':' || src_port, '') || ' to ' || coalesce(dst, '?') "
          "|| coalesce(':' || dst_port, '') || coalesce(', ' || bytes || ' bytes', '') || coalesce(', ' || action, '')",
          _LINE, "Start Time"),
    Event("container-log", "container_logs", "time", "coalesce(stream || ': ', '') || coalesce(text, '')", _LINE,
          "Content Time", order="line"),
)  # fmt: skip
"""Kinds of events of logs. A request is one event, when it came; `quiet` kinds are listed when they are asked for."""
