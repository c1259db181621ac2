# SPDX-License-Identifier: Apache-2.0
"""What differs between two cases: two times of one node, two nodes of one pool, a node and its golden image.

Rows are matched by what they are, never by a pid, an address or a namespace's number: a process by its workload,
container, program and arguments, a file by its container and path. A pod is matched by its workload (`Deployment/api`),
so that replicas and replacements of one workload are the same (memir/case/workload.py). How each kind of row is
matched is one entry of KINDS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memir.case.query import ask, datasets
from memir.case.read_record import read_record
from memir.case.record import CaseRecord
from memir.case.workload import workloads
from memir.errors import CaseError, UsageError
from memir.kernel.timekeeping import utc

_ARGS = "regexp_replace(array_to_string(t.args, ' '), 'hmac:? ?[0-9a-f]{8,64}', 'hmac', 'g')"
"""Arguments, without the fingerprints of masked secrets, which each case makes with a key of its own."""


@dataclass(frozen=True)
class Kind:
    """A kind of row. name: for people; table: where they are; key, values: SQL over the row by name; where: which rows.

    A place (namespace, workload, container) is the beginning of the key where the table's rows have an owner.
    """

    name: str
    table: str
    key: dict[str, str]
    values: dict[str, str]
    where: str = "true"
    owned: bool = True


def _same(*names: str) -> dict[str, str]:
    return {name: f"t.{name}" for name in names}


KINDS = (
    Kind("findings", "findings", _same("kind", "path"), _same("severity")),
    Kind("pods", "pods", {}, _same("service_account", "iam_role", "host_network", "qos")),
    Kind("containers", "containers", _same("kind"),
         {**_same("image", "state", "privileged", "host_pid", "host_network"), "args": _ARGS}),
    Kind("processes", "processes", {"exe": "t.exe", "args": f"coalesce({_ARGS}, t.comm)"},
         _same("uid", "cap_effective", "seccomp", "exe_deleted"), "not coalesce(t.kernel_thread, false)"),
    Kind("listeners", "sockets", _same("protocol", "local_port"), {"address": "t.local"}, "t.state = 'LISTEN'"),
    Kind("connections", "sockets", {"to": "coalesce(t.remote_kind || ' ', '') || coalesce(t.remote_name, t.remote)",
                                    "port": "if(t.remote_port >= 32768, null, t.remote_port)"}, _same("protocol"),
         "t.remote_port > 0 and t.state in ('ESTABLISHED', 'SYN_SENT') and coalesce(t.remote_kind, '') <> 'loopback'"),
    Kind("files", "inodes", {"path": "coalesce(t.container_path, t.path)"}, _same("change", "size", "mode", "sha256"),
         "t.change is not null and t.noise is null"),
    Kind("mounts", "mounts", _same("mount_point"), _same("fstype", "volume_kind", "hidden"),
         "t.container_id is not null or t.hidden"),
    Kind("secrets", "secrets", _same("kind", "name", "holder"),
         {"fingerprint": "if(t.fingerprint like 'hmac:%', null, t.fingerprint)"}),
    Kind("modules", "modules", _same("name"), _same("srcversion", "size", "hidden"), owned=False),
    Kind("bpf", "bpf", _same("kind", "type", "name", "tag"), _same("attached")),
    Kind("hooks", "hooks", _same("kind", "name", "symbol", "module"), _same("judgement")),
)  # fmt: skip
"""Every kind that is compared, in the order in which they are told."""
_PLACE = ("namespace", "workload", "container")


@dataclass(frozen=True)
class Difference:
    """One thing that differs. state: new, gone or changed; key: what it is; old, new: values that differ, by column.

    count: how many rows there were and are.
    """

    kind: str
    state: str
    key: dict[str, Any]
    old: dict[str, Any]
    new: dict[str, Any]
    count: tuple[int, int]


@dataclass(frozen=True)
class Diff:
    """What differs. facts: of the images themselves, old and new; lacking: kinds that a case has no table for;
    notes: what makes differences of the cases where the nodes have none."""

    facts: dict[str, tuple[Any, Any]]
    differences: tuple[Difference, ...]
    compared: tuple[str, ...]
    lacking: dict[str, str]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For documents."""
        return {
            "facts": {name: {"old": old, "new": new} for name, (old, new) in self.facts.items()},
            "compared": list(self.compared),
            "lacking": self.lacking,
            "notes": list(self.notes),
            "differences": [
                {"kind": each.kind, "state": each.state, "key": each.key, "old": each.old, "new": each.new,
                 "count": {"old": each.count[0], "new": each.count[1]}}
                for each in self.differences
            ],
        }  # fmt: skip


def diff(old: str | Path, new: str | Path, kinds: Sequence[str] = ()) -> Diff:
    """Compare two cases. kinds: names of KINDS, all if none is given.

    UsageError for a kind that there is not, CaseError if a folder is no case or holds many images.
    """
    names = [kind.name for kind in KINDS]
    for name in kinds:
        if name not in names:
            raise UsageError(f"there is nothing named {name!r} to compare: there are {', '.join(names)}")
    records = [_record(Path(folder)) for folder in (old, new)]
    tables = [datasets(Path(folder), reveal=False) for folder in (old, new)]
    named = _workloads(*tables)
    differences: list[Difference] = []
    compared, lacking = [], {}
    for kind in KINDS:
        if kinds and kind.name not in kinds:
            continue
        absent = [str(folder) for folder, each in zip((old, new), tables, strict=True) if kind.table not in each]
        if absent:
            lacking[kind.name] = f"{' and '.join(absent)}: no table {kind.table}"
            continue
        try:
            differences += _differences(kind, (tables[0], tables[1]), named)
        except UsageError:  # SQL that is right for today's columns
            lacking[kind.name] = f"a table {kind.table} lacks a column: an earlier memir wrote it"
            continue
        compared.append(kind.name)
    notes = [words for words in (_order(*records),) if words]
    if (records[0].cluster is None) != (records[1].cluster is None):
        blind = int(records[1].cluster is None)
        kept = [each for each in differences if not _of_the_view(each, blind)]
        side = ("NEW", "OLD")[blind]
        notes.append(
            f"only {side} has the API's view (--cluster): what the other case does not know for that is no change "
            f"({len(differences) - len(kept)} left out); pods that the API alone knows are new or gone for it"
        )
        differences = kept
    return Diff(_facts(*records), tuple(differences), tuple(compared), lacking, tuple(notes))


def _order(old: CaseRecord, new: CaseRecord) -> str | None:
    """A warning where OLD was taken after NEW, by the images' own clocks."""
    clocks = [record.identity.clock if record.identity is not None else None for record in (old, new)]
    if clocks[0] is None or clocks[1] is None or clocks[0] <= clocks[1]:
        return None
    first, second = (f"{utc(clock):%Y-%m-%d %H:%M:%S}" for clock in clocks if clock is not None)
    return (
        f"OLD was taken after NEW ({first} and {second}): what is called new had been there before, "
        "and what is gone came later; give the earlier case first"
    )


def _of_the_view(each: Difference, blind: int) -> bool:
    """Whether a change is only that one side, which has no view of the API (0: old), does not know a value."""
    sides = (each.old, each.new)
    return each.state == "changed" and each.kind in ("pods", "containers") and all(
        value is None for value in sides[blind].values()
    )  # fmt: skip


def _record(folder: Path) -> CaseRecord:
    record = read_record(folder)
    if record is None:
        raise CaseError(f"{folder}: no analysis has ended in it")
    if record.images:
        raise CaseError(f"{folder} is the case of {len(record.images)} images: give cases of one image each")
    return record


def _facts(old: CaseRecord, new: CaseRecord) -> dict[str, tuple[Any, Any]]:
    def of(record: CaseRecord) -> dict[str, Any]:
        identity, kernel, evidence = record.identity, record.kernel, record.evidence
        return {
            "node": record.node,
            "taken": identity.clock_utc if identity is not None else None,
            "boot": identity.boot_id if identity is not None else None,
            "kernel": kernel.release if kernel is not None else None,
            "kernel build": kernel.build_id if kernel is not None else None,
            "share of RAM": evidence.ram_share if evidence is not None else None,
            "memir": record.memir,
        }

    before, after = of(old), of(new)
    return {name: (before[name], after[name]) for name in before}


def _workloads(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The tables workloads_0 and workloads_1: a pod's UID and what its workload is called in both cases."""
    import pyarrow as pa

    wanted = "select pod_uid, namespace, pod_name, owner from pods"
    sides = []
    for tables in (old, new):
        try:
            sides.append(ask({"pods": tables["pods"]}, wanted).dicts() if "pods" in tables else [])
        except UsageError:  # a table without these columns: an earlier memir wrote it
            sides.append([])
    schema = pa.schema([("pod_uid", pa.string()), ("workload", pa.string())])
    return {
        f"workloads_{number}": pa.table([list(named), list(named.values())], schema=schema)
        for number, named in enumerate(workloads(*sides))
    }


def _differences(kind: Kind, both: tuple[dict[str, Any], dict[str, Any]], named: dict[str, Any]) -> list[Difference]:
    place = _PLACE if kind.owned else ()
    keys, values = (*place, *kind.key), tuple(kind.values)
    sides = [f"{side} as ({_grouped(kind, number)})" for number, side in enumerate("ab")]
    on = " and ".join(f"a.k_{key} is not distinct from b.k_{key}" for key in keys)
    shown = ", ".join(f"coalesce(a.k_{key}, b.k_{key})" for key in keys)
    pairs = ", ".join(f"a.v_{value}, b.v_{value}" for value in values)
    differs = " or ".join(f"a.v_{value} is distinct from b.v_{value}" for value in values)
    sql = (
        f"with {', '.join(sides)} select {shown}, coalesce(a.n, 0), coalesce(b.n, 0), {pairs} "
        f"from a full join b on {on} where a.n is null or b.n is null or {differs} order by all"
    )
    tables = {f"{kind.table}_{number}": each[kind.table] for number, each in enumerate(both)}
    return [_difference(kind.name, keys, values, row) for row in ask(tables | named, sql).rows]


def _grouped(kind: Kind, number: int) -> str:
    """One side: a row a key, with how many there are and the set of each value."""
    keys = dict(kind.key)
    if kind.owned:
        # another container of no pod is another container: its id is the only name that it has
        keys = {
            "namespace": "t.namespace",
            "workload": "coalesce(w.workload, t.pod_name)",
            "container": "coalesce(t.container_name, if(t.pod_uid is null, t.container_id, null))",
            **keys,
        }
    columns = [f"{sql} as k_{name}" for name, sql in keys.items()]
    columns += ["count(*) as n"]
    columns += [f"list_sort(list(distinct cast({sql} as varchar))) as v_{name}" for name, sql in kind.values.items()]
    joined = f"left join workloads_{number} w on t.pod_uid = w.pod_uid" if kind.owned else ""
    return f"select {', '.join(columns)} from {kind.table}_{number} t {joined} where {kind.where} group by all"


def _difference(kind: str, keys: Sequence[str], values: Sequence[str], row: Sequence[Any]) -> Difference:
    before, after = int(row[len(keys)]), int(row[len(keys) + 1])
    pairs = row[len(keys) + 2 :]
    state = "new" if not before else "gone" if not after else "changed"
    old, new = {}, {}
    for number, value in enumerate(values):
        first, second = (_plain(each) for each in pairs[2 * number : 2 * number + 2])
        if state == "new" or first != second:
            new[value] = second
        if state == "gone" or first != second:
            old[value] = first
    known = {key: value for key, value in zip(keys, row, strict=False) if value is not None}
    sides = ({} if state == "new" else old, {} if state == "gone" else new)
    return Difference(kind, state, known, *sides, (before, after))


def _plain(values: list[Any] | None) -> Any:
    """The one value of most rows itself; several as a list; none as null."""
    kept = [value for value in values or () if value is not None]
    return None if not kept else kept[0] if len(kept) == 1 else kept
