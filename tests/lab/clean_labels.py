# SPDX-License-Identifier: Apache-2.0
"""What may be told of the second clean node (clean/scenario.yaml), written before memir read it.

No intruder was there: every high and critical finding is false. EXPECTED is what a person on call would accept to read
of these pods, each with the highest severity that is acceptable and the reason why it is there at all; a finding that
is not in it, of medium or more, is false too. Info and low findings of other kinds are no claims that anybody acts on
and are counted alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

SEVERITIES = ("info", "low", "medium", "high", "critical")


class Expected(NamedTuple):
    """kind of finding, start of `namespace/pod`, highest severity, and what there is harmless."""

    kind: str
    pod: str
    highest: str
    why: str


EXPECTED = (
    Expected("created-executable", "tools/build-", "medium", "apt-get installs jq at the container's start"),
    Expected("preload", "storefront/sessions-", "medium", "LD_PRELOAD of jemalloc, by the pod's own spec"),
    Expected("api-session", "storefront/catalog-", "medium", "a person's kubectl debug, its shell still open"),
    Expected("unexpected-listener", "storefront/web-", "medium", "the mesh's proxy: 15001 and others by no port"),
    Expected("runtime-socket", "monitoring/agent-", "medium", "the agent asks the runtime for containers"),
    Expected("host-path", "monitoring/agent-", "low", "the agent reads the node's /proc"),
    Expected("other-credentials", "monitoring/agent-", "medium", "the agent has read every process's environment"),
)


def expected(finding: Mapping[str, Any]) -> bool:
    """Whether a finding is no more than what may be told. finding: a row of the table findings."""
    severity = SEVERITIES.index(finding["severity"])
    if severity <= SEVERITIES.index("low"):
        return True
    pod = f"{finding['namespace']}/{finding['pod_name']}"
    return any(
        finding["kind"] == one.kind and pod.startswith(one.pod) and severity <= SEVERITIES.index(one.highest)
        for one in EXPECTED
    )
