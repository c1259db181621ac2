# SPDX-License-Identifier: Apache-2.0
"""The table `claims`."""

from __future__ import annotations

from datetime import UTC, datetime

from memir.kube.claims import Claim, Subject
from memir.kube.owner import Owner, Owners
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import OWNER_COLUMNS, Table, columns

COLUMNS = columns("""
    subject          string       whom it is about: process:PID, container:ID, pod:UID or node
    field            string       column of the subject's table that it speaks of
    value            string       what is said; true or false for a boolean, times in UTC
    witness          string       who says it: cgroup, mnt_ns, spec, state, API, ... (the guide lists them by weight)
    believed         bool         it is the value that the subject's table shows
    document         string       what it was read from, where that is a document
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every claim, in the order in which witnesses were heard. The owner is the subject's."""
    claims = source.claims
    rows = list(claims)
    whose = {subject: _owner(source.owners, subject).columns() for subject in {claim.subject for claim in rows}}
    return Frame({
        "subject": [str(claim.subject) for claim in rows],
        "field": [claim.field for claim in rows],
        "value": [_text(claim) for claim in rows],
        "witness": [claim.witness for claim in rows],
        "believed": [claims.resolve(claim.subject, claim.field).value == claim.value for claim in rows],
        "document": [claim.where or None for claim in rows],
        **{name: [whose[claim.subject][name] for claim in rows] for name in OWNER_COLUMNS if name != "shared_by"},
        "source": ["claims"] * len(rows),
    })  # fmt: skip


def _text(claim: Claim) -> str:
    if isinstance(claim.value, bool):
        return str(claim.value).lower()
    if isinstance(claim.value, int) and claim.field.endswith("_at"):
        return datetime.fromtimestamp(claim.value // 10**9, UTC).isoformat()
    return str(claim.value)


def _owner(owners: Owners, subject: Subject) -> Owner:
    """Container and pod of a claim's subject, as their own tables have them."""
    if subject.kind == "process":
        return owners.process(int(subject.id)) or Owner()
    if subject.kind == "container":
        return owners.container(subject.id)
    return owners.pod(subject.id) if subject.kind == "pod" else Owner()


TABLE = Table(
    "claims", "What each witness says of processes, containers, pods and the node.", COLUMNS, "row", {"ram": read}
)
