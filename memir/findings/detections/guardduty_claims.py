# SPDX-License-Identifier: Apache-2.0
"""A finding of GuardDuty that memory confirms or contradicts."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row

_SQL = """
    select g.finding_id, any_value(g.type) as type, max(g.severity) as severity, any_value(g.title) as title,
        min(g.time) as time, any_value(g.container_id) as container_id, any_value(g.container_name) as container_name,
        any_value(g.pod_uid) as pod_uid, any_value(g.pod_name) as pod_name, any_value(g.namespace) as namespace
    from guardduty as g where finding_id is not null group by g.finding_id order by time, finding_id
"""
_TELLING = ("process.", "modifyingProcess.", "targetProcess.", "context.", "network.", "api.", "accessKey.")
"""Beginnings of claims about what was done; that a pod or container is here confirms nothing."""
_HIGH, _CRITICAL = 7.0, 9.0


def _find(look: Look) -> Iterator[Match]:
    claims: dict[str, list[Row]] = {}
    for claim in look.rows("guardduty_claims"):
        claims.setdefault(claim["finding_id"], []).append(claim)
    for row in look.ask(_SQL):
        listed_claims = claims.get(row["finding_id"], [])
        telling = [claim for claim in listed_claims if claim["claim"].startswith(_TELLING)]
        seen = [claim for claim in telling if claim["verdict"] == "seen"]
        against = [claim for claim in listed_claims if claim["verdict"] == "contradicted"]
        if not any(claim["verdict"] != "not resident" for claim in listed_claims):
            continue  # nothing of it is about this node, or can be told from memory
        severity, reason = _judge(row["severity"] or 0.0, seen, against)
        words = "confirms" if seen and not against else "contradicts" if against and not seen else "does not settle"
        if seen and against:
            words = "confirms in part"
        process = next((claim for claim in seen if claim["row_table"] == "processes"), None)
        pid = int(process["row_key"].rpartition(" ")[2]) if process else None
        place = {**row, "pid": pid, "start_time": look.process(pid).get("start_time")}
        if process and not row["pod_uid"]:
            place |= {name: process[name] for name in _OWNER}
        listed = "; ".join([
            *(f"{claim['claim']} {claim['value']}: contradicted ({claim['why']})" for claim in against[:2]),
            *(["seen: " + ", ".join(f"{claim['claim']} {claim['value']}" for claim in seen[:4])] if seen else []),
        ])  # fmt: skip
        yield Match(
            severity, reason,
            f"memory {words} GuardDuty's {short(row['type'])}" + (f": {short(listed)}" if listed else ""),
            place,
            (Proof("guardduty_claims", f"finding_id = '{_quoted(row['finding_id'])}'"),
             *dict.fromkeys(Proof(claim["row_table"], claim["row_key"]) for claim in (*seen, *against))),
            first_seen=row["time"], subject=str(row["finding_id"]),
        )  # fmt: skip


_OWNER = ("container_id", "container_name", "pod_uid", "pod_name", "namespace")


def _judge(severity: float, seen: list[Row], against: list[Row]) -> tuple[Severity, str]:
    counts = f"{len(seen)} of its claims seen, {len(against)} contradicted"
    if against and not seen:
        return "low", f"{counts}: what it describes is otherwise here"
    if not seen:
        return "info", "its pod or container is here; what it says was done there is not resident"
    if any(claim["claim"].startswith(("process.", "context.", "modifyingProcess.")) for claim in seen):
        if severity >= _CRITICAL and not against:
            return "critical", f"{counts}; GuardDuty's severity is {severity:g}"
        if severity >= _HIGH:
            return "high", f"{counts}; GuardDuty's severity is {severity:g}"
    return "medium", f"{counts}; GuardDuty's severity is {severity:g}"


def _quoted(text: str) -> str:
    return text.replace("'", "''")


DETECTION = Detection(
    kind="guardduty-claims",
    title="Finding of GuardDuty that memory confirms or contradicts",
    how="Each claim of the finding is compared with the tables (guardduty_claims). Severity follows GuardDuty's where "
    "memory has seen a claim about a process or a file: from 9 on critical if nothing contradicts, from 7 on high; "
    "else medium; low if claims are contradicted and none seen; info if its pod is here and nothing else. A finding "
    "that memory can say nothing to gives none.",
    technique="T1204.003",
    tables=("guardduty", "guardduty_claims", "processes"),
    find=_find,
    why="Two witnesses that know nothing of each other: the agent on the node, and its memory.",
    check_next=("the claims one by one: `memir query CASE` over guardduty_claims",
                "claims that are not resident: what has ended may still lie in free memory, which a hunt reads"),
    benign=("what GuardDuty finds odd and the team does on purpose",),
    missed=("what had ended when the memory was taken", "claims that no table can be asked about: DNS names, users"),
    given_by="--logs",
    gaps=("log", "task"),
    also_known=("GuardDuty: the type itself, in the title",),
)  # fmt: skip
