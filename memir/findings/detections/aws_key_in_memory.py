# SPDX-License-Identifier: Apache-2.0
"""What AWS was asked with an access key that lies in this node's memory, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_READS = ("GetSecretValue", "BatchGetSecretValue", "GetParameter", "GetParameters", "GetParametersByPath", "Decrypt")
_SQL = f"""
    with keys as (select access_key as id from cloudtrail where list_contains(credentials, 'key in memory')
        union select issued_key from cloudtrail where list_contains(credentials, 'issued key in memory')),
    held as (
        select id, pod_uid, any_value(pod_name) as pod_name, any_value(namespace) as namespace,
            if(count(distinct container_id) = 1, any_value(container_id), null) as container_id,
            if(count(distinct container_id) = 1, any_value(container_name), null) as container_name,
            min(pid) as pid, any_value(fingerprint) as fingerprint, any_value(holder) as holder
        from keys join secrets on name = id or fingerprint = 'sha256:' || sha256(id) group by id, pod_uid),
    used as (
        select access_key as id, count(*) as events, min(time) as time, max(time) as last, any_value(arn) as arn,
            count(*) filter (error_code is not null) as refused,
            count(*) filter (read_only = false and error_code is null) as changes,
            count(*) filter (event_name in {_READS} and error_code is null) as secrets_read,
            list_sort(list(distinct event_name))[:8] as asked,
            min_by(log, row(time, log, line)) as log, min_by(line, row(time, log, line)) as line
        from cloudtrail where access_key is not null group by access_key),
    given as (
        select issued_key as id, any_value(pod_uid) as given_uid, any_value(pod_name) as given_name,
            any_value(namespace) as given_namespace, any_value(issued_arn) as given_arn, any_value(log) as given_log,
            any_value(line) as given_line
        from cloudtrail where issued_key is not null and list_contains(credentials, 'Pod Identity')
        group by issued_key having count(distinct pod_uid) = 1)
    select held.*, used.* exclude (id), given.* exclude (id),
        coalesce(held.pod_uid <> given_uid, false) as elsewhere
    from held left join used using (id) left join given using (id)
    where used.events is not null or held.pod_uid <> given_uid
    order by elsewhere desc, held.pod_uid is null, id, held.pod_uid
"""


def _find(look: Look) -> Iterator[Match]:
    for row in look.ask(_SQL):
        severity, reason = _judge(row)
        process = look.process(row["pid"])
        holder = f"pid {row['pid']} {short(process.get('comm', '?'))} ({where(row)})" if row["pid"] else where(row)
        times = f"{row['events'] or 0:,} event{'' if row['events'] == 1 else 's'}"
        asked = f", {short(', '.join(row['asked']))}" if row["asked"] else ""
        refused = f", {row['refused']:,} refused" if row["refused"] else ""
        proofs = [Proof("secrets", f"fingerprint = '{row['fingerprint']}'")]
        for log, line in ((row["log"], row["line"]), (row["given_log"], row["given_line"])):
            if log is not None:
                proofs.append(Proof("cloudtrail", f"log = '{_quoted(log)}' and line = {line}"))
        yield Match(
            severity, reason,
            f"{holder} holds the AWS key {short(row['id'])} of "
            f"{short(row['arn'] or row['given_arn'] or 'an identity that is not known')}, with which AWS was asked: "
            f"{times}{refused}{asked}{moment(look, row)}",
            {**row, "start_time": process.get("start_time")}, tuple(proofs), first_seen=row["time"],
            subject=f"{row['id']} {row['pod_uid']}",
        )  # fmt: skip


def moment(look: Look, row: Row) -> str:
    """Whether events were made before or after the memory was taken, by their `time` and `last`; "" if not known."""
    clock = look.facts.clock
    if clock is None or row["time"] is None:
        return ""
    if row["time"] > clock:
        return "; all after the memory was taken"
    return "; before and after the memory was taken" if row["last"] > clock else "; all before the memory was taken"


def _judge(row: Row) -> tuple[Severity, str]:
    if row["elsewhere"]:
        whose = "/".join(part for part in (row["given_namespace"], row["given_name"]) if part)
        return "high", f"Pod Identity gave it to another pod than the one that holds it: {short(whose)}"
    if row["secrets_read"] or row["changes"]:
        return "low", f"{row['secrets_read']} reads of secrets and {row['changes']} changes with it"
    return "info", "it only read"


def _quoted(text: str) -> str:
    return text.replace("'", "''")


DETECTION = Detection(
    kind="aws-key-in-memory",
    title="Events of CloudTrail with an access key that lies in this node's memory",
    how="The id of an access key among the secrets of memory is that of events in CloudTrail. High if Pod Identity "
    "gave it (by the session tag with the pod's UID) to another pod of this node than the one that holds it, low if "
    "things were changed or secrets read with it, else info.",
    technique="T1078.004",
    tables=("cloudtrail", "secrets", "processes"),
    find=_find,
    why="It says what exactly was done with this key, by whoever had it, before and after the memory was taken.",
    check_next=("every event with it: `memir query CASE` over cloudtrail, by access_key",
                "what its role may do: its policies in IAM"),
    benign=("a pod that works with its own role", "agents that ask for pods' credentials in their place"),
    missed=("keys that the table secrets has not", "data events, where the trail has none"),
    given_by="--logs",
    gaps=("log", "hunt"),
    also_known=("GuardDuty: CredentialAccess:IAMUser/AnomalousBehavior",),
)  # fmt: skip
