# SPDX-License-Identifier: Apache-2.0
"""Credentials of AWS that lie in this node's memory, or were given to it, and were used from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.aws_key_in_memory import moment
from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_SQL = """
    with mine as (
        select *, coalesce(access_key, arn) as principal from cloudtrail
        where len(coalesce(credentials, [])) > 0 and coalesce(access_key, arn) is not null
            and regexp_matches(coalesce(source_ip, ''), '^([0-9]{1,3}[.]){3}[0-9]{1,3}$|^[0-9a-fA-F:]+:[0-9a-fA-F:]*$')
            and not regexp_matches(source_ip, '^(10[.]|192[.]168[.]|172[.](1[6-9]|2[0-9]|3[01])[.]|127[.]|169[.]254[.]|'
                || '100[.](6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])[.]|f[cd]|fe80)')),
    asked_from as (select principal, source_ip, count(*) as events from mine group by all),
    mostly as (select principal, arg_max(source_ip, row(events, source_ip)) as source_ip from asked_from
        group by principal),
    way_out as (
        select source_ip from mostly group by source_ip
        having count(*) >= 2 and 2 * count(*) > (select count(*) from mostly)),
    used as (
        select principal, source_ip, count(*) as events, min(time) as time, max(time) as last,
            list_sort(list(distinct event_name))[:8] as asked, count(*) filter (error_code is not null) as refused,
            list_sort(list_distinct(flatten(list(credentials)))) as credentials, any_value(pids) as pids,
            any_value(arn) as arn, any_value(access_key) as access_key, any_value(user_agent) as user_agent,
            min_by(log, row(time, log, line)) as log, min_by(line, row(time, log, line)) as line,
            any_value(container_id) as container_id, any_value(container_name) as container_name,
            any_value(pod_uid) as pod_uid, any_value(pod_name) as pod_name, any_value(namespace) as namespace
        from mine group by principal, source_ip)
    select used.*, (select count(*) from way_out) > 0 as known, (select any_value(source_ip) from way_out) as way_out,
        mostly.source_ip as home
    from used join mostly using (principal)
    where used.source_ip not in (select source_ip from way_out)
        and ((select count(*) from way_out) > 0 or used.source_ip <> mostly.source_ip)
    order by used.time, principal, used.source_ip
"""
_CERTAIN = ("key in memory", "node role", "Pod Identity")


def _find(look: Look) -> Iterator[Match]:
    for row in look.ask(_SQL):
        severity, reason = _judge(row)
        pid = row["pids"][0] if row["pids"] else None
        process = look.process(pid)
        key = f"the key {short(row['access_key'])}" if row["access_key"] else "a session"
        times = f"{row['events']:,} event{'' if row['events'] == 1 else 's'}"
        refused = f", {row['refused']:,} refused" if row["refused"] else ""
        yield Match(
            severity, reason,
            f"{key} of {short(row['arn'] or 'an identity that is not known')} ({', '.join(row['credentials'])}; "
            f"{where(row)}) was used from {short(row['source_ip'])}: {times}{refused}, "
            f"{short(', '.join(row['asked'] or ()))}{moment(look, row)}",
            {**row, "pid": pid if process else None, "start_time": process.get("start_time")},
            (Proof("cloudtrail", f"log = '{_quoted(row['log'])}' and line = {row['line']}"),
             *([Proof("processes", f"pid = {pid}")] if process else [])),
            first_seen=row["time"], subject=f"{row['principal']} {row['source_ip']}",
        )  # fmt: skip


def _judge(row: Row) -> tuple[Severity, str]:
    certain = [part for part in row["credentials"] if part in _CERTAIN]
    if not row["known"]:
        home = short(row["home"])
        return "medium", f"they are used more often from {home}; which is this node's way out the log does not tell"
    if not certain:
        return "medium", "the account has pods here, and may have some on other nodes, which go out elsewhere"
    return "high", f"most of this node's credentials are used from {short(row['way_out'])}"


def _quoted(text: str) -> str:
    return text.replace("'", "''")


DETECTION = Detection(
    kind="credentials-elsewhere",
    title="AWS credentials of this node that were used from elsewhere",
    how="CloudTrail has events made with credentials that lie in this node's memory (access key id), were given to its "
    "pods (Pod Identity by the pod's UID, IRSA by the service account) or are its instance's role (session name), from "
    "a public address. The address from which more than half of these credentials, at least two, are mostly used is "
    "the node's way out (a NAT gateway): high from any other, medium for IRSA of an account whose pods may run "
    "elsewhere too. Without such an address: medium for those that a credential is used from less often.",
    technique="T1078.004",
    tables=("cloudtrail", "processes"),
    find=_find,
    why="Credentials of a pod or a node are used where they are. From elsewhere, somebody has taken them along.",
    check_next=("every event with them: `memir query CASE` over cloudtrail, by access_key and arn",
                "revoke the role's sessions: `memir plan` has the step"),
    benign=("an engineer who debugs with a pod's credentials", "a pod of the same account behind another NAT gateway",
            "two NAT gateways of one node's network"),
    missed=("use through the node itself, from behind its NAT gateway, or through a VPC endpoint",
            "events that CloudTrail has not: data events are in a trail's files alone, if they are on",
            "keys that lie in memory no more, of pods without Pod Identity or IRSA"),
    given_by="--logs",
    gaps=("log",),
    also_known=("GuardDuty: UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",),
)  # fmt: skip
