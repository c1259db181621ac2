# SPDX-License-Identifier: Apache-2.0
"""A pod's token with which somebody asked from an address that is neither the pod's nor the node's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_WAY_OUT = """
    asked_from as (
        select a.by_pod_uid, a.source_ips[1] as address, count(*) as requests
        from audit as a join (select distinct pod_uid from pods) as p on p.pod_uid = a.by_pod_uid
        where a.credential_id like 'JTI=%' and a.source_ips[1] is not null group by all),
    mostly as (select by_pod_uid, arg_max(address, row(requests, address)) as address from asked_from
        group by by_pod_uid),
    way_out as (
        select address, count(*) as pods, (select count(*) from mostly) as of_pods from mostly
        where address not in (select address from pod_ips where address is not null)
        group by address having count(*) >= 2 and 2 * count(*) > (select count(*) from mostly))
"""
"""The address from which most of the node's pods ask, each more often than from any other: a NAT gateway's, a proxy's.

A stolen token is used from home as well, and more often, while its pod works."""
_EXITS = f"with {_WAY_OUT} select * from way_out order by address"
_SQL = f"""
    with {_WAY_OUT}, here as (
        select source_ips[1] as address from audit
            where "user" = 'system:node:' || (select any_value(node) from pods where node is not null)
        union select part from (
            select split_part(unnest(list_concat(ipv4, ipv6)), '/', 1) as part from interfaces where pod_uid is null)
            where part not in (select address from pod_ips where address is not null))
    select a.by_pod_uid, a.source_ips[1] as address, any_value(a."user") as "user", min(a.time) as time,
        max(a.time) as last, count(*) as requests, min_by(a.log, row(a.time, a.log, a.line)) as log,
        min_by(a.line, row(a.time, a.log, a.line)) as line,
        list_sort(list(distinct a.verb || ' ' || coalesce(a.resource, '?')))[:8] as asked,
        any_value(a.credential_id) as credential_id, any_value(a.user_agent) as user_agent,
        any_value(p.pod_uid) as pod_uid, any_value(p.pod_name) as pod_name, any_value(p.namespace) as namespace,
        (select any_value(pod_name) from pod_ips where address = a.source_ips[1]) as other
    from audit as a join pods as p on p.pod_uid = a.by_pod_uid
    where a.credential_id like 'JTI=%' and a.source_ips[1] is not null and a.source_ips[1] not in (
        select address from here where address is not null union all select address from way_out union all
        select address from pod_ips where pod_ips.pod_uid = a.by_pod_uid and address is not null)
    group by a.by_pod_uid, a.source_ips[1] order by time
"""


_KUBELET = """
    select distinct source_ips[1] as address from audit
    where "user" = 'system:node:' || (select any_value(node) from pods where node is not null)
"""


def _find(look: Look) -> Iterator[Match]:
    for row in look.ask(_SQL):
        severity, reason = _judge(row["address"], row["other"])
        times = f"{row['requests']:,} request{'' if row['requests'] == 1 else 's'}"
        yield Match(
            severity, reason,
            f"the token of {where(row)} ({short(row['user'])}) was used from {short(row['address'])}: {times}, "
            f"{short(', '.join(row['asked'] or ()))}",
            {**row, "pid": None},
            (Proof("audit", f"log = '{_quoted(row['log'])}' and line = {row['line']}"),),
            first_seen=row["time"], subject=f"{row['by_pod_uid']} {row['address']}",
        )  # fmt: skip


    for exit_ in look.ask(_EXITS):
        if not any(row["address"] == exit_["address"] for row in look.ask(_KUBELET)):
            yield _shared(exit_)


def _shared(exit_: Row) -> Match:
    """One finding for the address that many share, in the place of one for each of their tokens."""
    address = short(exit_["address"])
    return Match(
        "info", "so many pods that each ask mostly from one address go out through it",
        f"{exit_['pods']} of {exit_['of_pods']} pods of this node that ask the API ask mostly from {address}: taken "
        "for their way out (a NAT gateway, a proxy)",
        {"pid": None},
        (Proof("audit", f"source_ips[1] = '{_quoted(str(exit_['address']))}'"),),
        subject=f"way out {exit_['address']}",
        check_next=(f"whether {address} is a NAT gateway's or a proxy's: if not, these tokens were taken together",),
    )  # fmt: skip


def _judge(address: Any, other: str | None) -> tuple[Severity, str]:
    if other is not None:
        return "medium", f"the address is that of another pod of this node: {short(other)}"
    try:
        private = not ipaddress.ip_address(address).is_global
    except ValueError:
        return "medium", "what the log has for an address is none"
    if private:
        return "medium", "the address is a private one: another pod or node, or a proxy before the API server"
    return "high", "the address is on the internet, and this node's pods and kubelet ask from others"


def _quoted(text: str) -> str:
    return text.replace("'", "''")


DETECTION = Detection(
    kind="token-elsewhere",
    title="Token of a pod that was used from elsewhere",
    how="The audit log has requests with a token bound to a pod of this node (credential-id and pod-uid) whose first "
    "address is not one of that pod or of the node's interfaces, nor one from which this node's kubelet asks. High if "
    "that address is global, medium if it is private or another pod's. An address from which more than half of the "
    "node's pods, at least two, ask more often than from any other is their way out (a NAT gateway, a proxy): one "
    "finding, info, says so.",
    technique="T1528",
    tables=("audit", "pods", "pod_ips", "interfaces"),
    find=_find,
    why="A bound token is for one pod. Asked with from elsewhere, it was taken out of it.",
    check_next=("what was asked with it: `memir query CASE` over audit, by its credential_id",
                "end it: delete the pod, which its token is bound to"),
    benign=("a proxy or a NAT gateway before the API server that only a few pods go through",
            "debugging with a token that was made for it"),
    missed=("tokens that are not bound to pods, and logs that keep no credential-id (before Kubernetes 1.32)",
            "use through the node itself, or from behind the same NAT gateway",
            "tokens of most pods, taken together, and used from one address more than by their pods"),
    given_by="--logs",
    gaps=("log",),
    also_known=("GuardDuty: CredentialAccess:Kubernetes/AnomalousBehavior.SecretsAccessed",),
)  # fmt: skip
