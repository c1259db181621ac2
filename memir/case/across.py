# SPDX-License-Identifier: Apache-2.0
"""What several nodes' cases share: connections seen from both ends, and the same secret, program or indicator.

Two ends are one connection if the four-tuple of one is that of the other turned round, after the address translation
that either node's conntrack has for it (a service's address, the node's own). All in SQL over the cases' tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memir.case.case import Case
from memir.tables.sql import connected

if TYPE_CHECKING:
    import pyarrow as pa

_OWNER = "container_id, container_name, pod_uid, pod_name, namespace"
_COLUMNS: Mapping[str, str] = {
    "sockets": f"sock, family, protocol, local, local_port, remote, remote_port, state, pid, {_OWNER}",
    "conntrack": "protocol, orig_src, orig_src_port, orig_dst, orig_dst_port, reply_src, reply_src_port, reply_dst, "
                 "reply_dst_port",
    "processes": f"pid, comm, exe, exe_sha256, exe_deleted, {_OWNER}",
    "secrets": f"kind, name, fingerprint, subject, gain, holder, pid, path, {_OWNER}",
    "inodes": f"sha256, container_path, node_path, path, change, noise, deleted, {_OWNER}",
    "findings": f"id, kind, severity, title, {_OWNER}",
}  # fmt: skip
_ENDS = """
    with plain as (
      select *, replace(local, '::ffff:', '') as la, replace(remote, '::ffff:', '') as ra from sockets
      where protocol = 'tcp' and state not in ('LISTEN', 'ended') and local_port > 0 and remote_port > 0
        and local is not null and remote is not null
        and la not like '127.%' and la <> '::1'
    ), seen as (
      select p.*, coalesce(o.reply_dst, r.orig_dst, la) as l,
             coalesce(o.reply_dst_port, r.orig_dst_port, local_port) as lp,
             coalesce(o.reply_src, r.orig_src, ra) as r, coalesce(o.reply_src_port, r.orig_src_port, remote_port) as rp
      from plain p
      left join conntrack o on o.node_case = p.node_case and o.protocol = 'tcp' and o.orig_src = la
        and o.orig_src_port = local_port and o.orig_dst = ra and o.orig_dst_port = remote_port
      left join conntrack r on r.node_case = p.node_case and r.protocol = 'tcp' and r.reply_src = la
        and r.reply_src_port = local_port and r.reply_dst = ra and r.reply_dst_port = remote_port
    ), ends as (select distinct on (node_case, sock) * from seen order by node_case, sock)
    select a.node_case as from_case, a.pid as from_pid, ap.comm as from_comm, a.namespace as from_namespace,
           a.pod_name as from_pod, a.container_name as from_container, a.l as from_address, a.lp as from_port,
           b.node_case as to_case, b.pid as to_pid, bp.comm as to_comm, b.namespace as to_namespace,
           b.pod_name as to_pod, b.container_name as to_container, b.l as to_address, b.lp as to_port,
           a.state as state, b.state as to_state
    from ends a join ends b on a.node_case <> b.node_case
      and ((a.l = b.r and a.lp = b.rp and a.r = b.l and a.rp = b.lp)
        or (a.la = b.ra and a.local_port = b.remote_port and a.ra = b.la and a.remote_port = b.local_port))
    left join processes ap on ap.node_case = a.node_case and ap.pid = a.pid
    left join processes bp on bp.node_case = b.node_case and bp.pid = b.pid
    where a.lp > b.lp or (a.lp = b.lp and a.node_case < b.node_case)
    order by all
"""
"""The end with the higher port is taken for the one that began it."""
_PLACE = "coalesce(nullif(concat_ws('/', namespace, pod_name, container_name), ''), 'the node')"
_SHARED = f"""
    with things as (
      select 'secret' as kind, fingerprint as value, any_value(coalesce(subject, name, kind)) as name,
             node_case, {_PLACE} || ' (' || holder || ')' as place
      from secrets where starts_with(fingerprint, 'sha256:') group by all
      union all
      select 'program', exe_sha256, any_value(exe), node_case, {_PLACE} || ' pid ' || pid from processes
      where exe_sha256 is not null and (exe_deleted or starts_with(exe, '/memfd:')) group by all
      union all
      select 'file', sha256, any_value(coalesce(container_path, node_path, path)), node_case, {_PLACE} from inodes
      where sha256 is not null and change in ('created', 'modified') and noise is null group by all
      union all
      select 'indicator', regexp_extract(title, 'known indicator (\\S+)', 1), any_value(title), node_case, {_PLACE}
      from findings where kind = 'known-indicator' group by all
    )
    select kind, value, min(name) as name, list_sort(list(distinct node_case)) as cases,
           list_sort(list(distinct node_case || ': ' || place)) as places
    from things group by kind, value having count(distinct node_case) > 1 order by kind, value
"""


@dataclass(frozen=True)
class Across:
    """connections: one a pair of ends, rows of dicts. shared: what lies on more than one node, with all places.

    lacking: tables that a case does not have, by case: nothing of them could be compared.
    """

    connections: list[dict[str, Any]]
    shared: list[dict[str, Any]]
    lacking: dict[str, list[str]]


def across(cases: Sequence[Case]) -> Across:
    """Compare the cases of several nodes. One of passwords' fingerprints is another's in no other case: they have keys
    of their own, and are not compared."""
    names = [str(case.folder) for case in cases]
    lacking = {
        name: [table for table in _COLUMNS if table not in case.tables]
        for name, case in zip(names, cases, strict=True)
    }  # fmt: skip
    tables = {table: _joined(table, names, cases) for table in _COLUMNS}
    with connected(tables) as connection:
        connections = connection.sql(_ENDS).to_arrow_table().to_pylist()
        shared = connection.sql(_SHARED).to_arrow_table().to_pylist()
    return Across(connections, shared, {name: absent for name, absent in lacking.items() if absent})


def _joined(table: str, names: Sequence[str], cases: Sequence[Case]) -> pa.Table:
    """A table of all cases, with the column node_case; of a case without it no rows."""
    import pyarrow as pa

    from memir.tables.table import tables

    schema = tables()[table].schema()
    columns = [name.strip() for name in _COLUMNS[table].split(",")]
    wanted = pa.schema([schema.field(name) for name in columns])
    parts = []
    for name, case in zip(names, cases, strict=True):
        own = case[table] if table in case.tables else wanted.empty_table()
        have = [
            own[column].cast(wanted.field(column).type)
            if column in own.column_names
            else pa.nulls(own.num_rows, wanted.field(column).type)
            for column in columns
        ]
        part = pa.Table.from_arrays(have, schema=wanted)
        parts.append(part.append_column("node_case", pa.array([name] * part.num_rows, pa.string())))
    return pa.concat_tables(parts)
