# SPDX-License-Identifier: Apache-2.0
"""Requests to the API that were made with a token that lies in this node's memory."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_SQL = """
    with held as (
        select distinct fingerprint, pid, container_id, container_name, pod_uid, pod_name, namespace, holder,
            'JTI=' || json_extract_string(claims, '$.jti') as token,
            json_extract_string(claims, '$."kubernetes.io".pod.uid') as bound_uid,
            json_extract_string(claims, '$."kubernetes.io".pod.name') as bound_pod,
            json_extract_string(claims, '$."kubernetes.io".namespace') as bound_namespace
        from (select * from secrets where json_valid(claims)) where json_extract_string(claims, '$.jti') is not null),
    used as (
        select credential_id, count(*) as requests, min(time) as time, max(time) as last,
            count(*) filter (resource = 'secrets' and verb in ('get', 'list', 'watch') and coalesce(code, 200) < 300)
                as secrets_read,
            count(*) filter (verb in ('create', 'update', 'patch', 'delete') and coalesce(code, 200) < 300) as changes,
            list_sort(list(distinct verb || ' ' || coalesce(resource, '?')))[:8] as asked,
            min_by(log, row(time, log, line)) as log,
            min_by(line, row(time, log, line)) as line, any_value("user") as "user"
        from audit where credential_id like 'JTI=%' group by credential_id)
    select held.*, used.*, held.pod_uid is not null and bound_uid is not null and held.pod_uid <> bound_uid as elsewhere
    from held join used on token = credential_id
    order by elsewhere desc, held.pod_uid is null, token, pid
"""


def _find(look: Look) -> Iterator[Match]:
    for row in look.ask(_SQL):
        severity, reason = _judge(row)
        process = look.process(row["pid"])
        holder = f"pid {row['pid']} {short(process.get('comm', '?'))} ({where(row)})" if row["pid"] else where(row)
        bound = "/".join(part for part in (row["bound_namespace"], row["bound_pod"]) if part) or "no pod"
        times = f"{row['requests']:,} request{'' if row['requests'] == 1 else 's'}"
        yield Match(
            severity, reason,
            f"{holder} holds a token of {short(row['user'])} (bound to {short(bound)}) with which the API was asked: "
            f"{times}, {short(', '.join(row['asked'] or ()))}",
            {**row, "start_time": process.get("start_time")},
            (Proof("secrets", f"fingerprint = '{row['fingerprint']}'"),
             Proof("audit", f"log = '{_quoted(row['log'])}' and line = {row['line']}")),
            first_seen=row["time"], subject=f"{row['token']} {row['pod_uid']} {row['elsewhere']}",
        )  # fmt: skip


def _judge(row: Row) -> tuple[Severity, str]:
    if row["elsewhere"]:
        return "high", "the token is bound to another pod than the one that holds it"
    if row["secrets_read"] or row["changes"]:
        return "low", f"its own pod's: {row['secrets_read']} reads of secrets and {row['changes']} changes with it"
    return "info", "its own pod's, and it only read"


def _quoted(text: str) -> str:
    return text.replace("'", "''")


DETECTION = Detection(
    kind="token-in-memory",
    title="Requests to the API with a token that lies in this node's memory",
    how="The id (jti) of a token among the secrets of memory is the credential-id of requests in the audit log. High "
    "if another pod holds it than the one that it is bound to, low if its own pod changed things or read secrets "
    "with it, else info.",
    technique="T1528",
    tables=("audit", "secrets", "processes"),
    find=_find,
    why="It says what exactly was done with this token, by whoever had it.",
    check_next=("every request with it: `memir query CASE` over audit, by its credential_id",
                "what its account may do: roles and bindings"),
    benign=("clients that work with their own pod's token, as controllers and operators do",
            "the kubelet, which holds the tokens that it asked for"),
    missed=("tokens that the table secrets has not: it knows those of environments, arguments and hunts",
            "logs that keep no credential-id (before Kubernetes 1.32)"),
    given_by="--logs",
    gaps=("log",),
    also_known=("GuardDuty: CredentialAccess:Kubernetes/AnomalousBehavior.SecretsAccessed",),
)  # fmt: skip
