# SPDX-License-Identifier: Apache-2.0
"""The control plane's logs in CloudWatch Logs: group /aws/eks/CLUSTER/cluster, a prefix of streams for each kind.

https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html. What is kept of an event is what
FilterLogEvents gives, as a line of JSON: its `message` is the API server's or the authenticator's own line.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from memir.aws.errors import calling, cause_code
from memir.aws.fetch.scope import Piece, Scope, Source, Unread, json_lines
from memir.aws.fetch.window import Window
from memir.errors import RemoteError

STEP = timedelta(minutes=15)
"""A piece, which is asked for anew where it was cut: a busy cluster writes 100 MiB of audit log in it."""
GROUP = "/aws/eks/{}/cluster"
ON_GROUP = "arn:aws:logs:{region}:{account}:log-group:/aws/eks/{cluster}/cluster:*"
_ACTIONS = (("logs:FilterLogEvents", ON_GROUP),)


def events(scope: Scope, group: str, window: Window, **chosen: Any) -> Iterator[dict[str, Any]]:
    """Events of a log group in a window, page after page, by time. chosen: more of FilterLogEvents' parameters."""
    begin, end = window.milliseconds
    pages = scope.client("logs").get_paginator("filter_log_events")
    with calling("logs:FilterLogEvents", f"log group {group}"):
        for page in pages.paginate(logGroupName=group, startTime=begin, endTime=end, **chosen):
            yield from page.get("events", ())


def _pieces(name: str, kind: str, prefix: str, scope: Scope) -> Iterable[Piece]:
    group = GROUP.format(scope.cluster)
    if kind not in _enabled(scope):
        why = f"the cluster does not send its {kind} log now: what there is, is from before"
        scope.unread.append(Unread(name, why))
    if not _there(scope, group):
        scope.unread.append(Unread(name, f"there is no log group {group}: the control plane's logs were never on"))
        return
    for window in scope.window.slices(STEP):
        asked = functools.partial(events, scope, group, window, logStreamNamePrefix=prefix)
        yield Piece(f"{name}/{name}-{window.name}.jsonl.gz", window.end, lambda asked=asked: json_lines(asked()))  # type: ignore[misc]


def _enabled(scope: Scope) -> set[str]:
    setups = scope.facts.get("logging", {}).get("clusterLogging", ())
    return {str(kind) for setup in setups if setup.get("enabled") for kind in setup.get("types", ())}


def _there(scope: Scope, group: str) -> bool:
    begin, _ = scope.window.milliseconds
    try:
        with calling("logs:FilterLogEvents", f"log group {group}"):
            scope.client("logs").filter_log_events(logGroupName=group, startTime=begin, endTime=begin + 1, limit=1)
    except RemoteError as error:
        if cause_code(error) == "ResourceNotFoundException":
            return False
        raise
    return True


AUDIT = Source(
    "audit", "Kubernetes audit log", functools.partial(_pieces, "audit", "audit", "kube-apiserver-audit-"), _ACTIONS
)
AUTHENTICATOR = Source(
    "authenticator", "EKS authenticator's log",
    functools.partial(_pieces, "authenticator", "authenticator", "authenticator-"), _ACTIONS,
)  # fmt: skip
