# SPDX-License-Identifier: Apache-2.0
"""The table `sessions`: who opened a shell, a tunnel or a debugger in a pod, and which processes they left.

The audit log knows who; memory knows what runs. A process is the session's if it runs the session's command, comes from
one that does, or was started meanwhile in the same container by what the command names; reparented ones too. The two
clocks are compared by the sessions whose own process is still there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memir.logs.source import LogSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

if TYPE_CHECKING:
    import pyarrow as pa

DERIVED_FROM = "audit"
COLUMNS = columns("""
    time             timestamp    when it was opened, UTC by the API server's clock
    end              timestamp    when it ended, as far as the log goes; null: it was open, or its end is not in the log
    kind             string       exec, attach, portforward, debug (ephemeral container) or proxy (through the kubelet)
    user             string       who opened it
    groups           list<string> that user's groups
    impersonated     string       user in whose name it was asked
    source_ips       list<string> where from: client first, then proxies
    user_agent       string       program of the client, by its own account
    credential_id    string       token or certificate that it was asked with
    object_namespace string       namespace of the pod
    object_name      string       the pod, or the node of a proxy
    exec_container   string       container that the request names
    command          list<string> command of an exec, secrets masked
    code             int32        HTTP status: 101 or 200 where it was opened
    pids             list<int32>  processes of the node that it left, ended ones are gone
    processes        list<string> the same in words: pid, start, arguments, and why they are the session's
    maybe            list<int32>  processes that were started meanwhile in that container, and may be its own
    clock_offset     float64      seconds that the node's clock was ahead of the API server's; 0 for no more than 5 s
    clock_said_by    int32        sessions whose own process says so; 0: the clocks could not be compared
    audit_id         string       the request in the table audit
    source           string       where the row comes from
""")
_KINDS = "('exec', 'attach', 'portforward', 'ephemeralcontainers')"
_SESSIONS = f"""
    select audit_id, min(time) as time, max(stage_time) filter (stage = 'ResponseComplete') as "end",
        any_value(case when resource = 'nodes' then 'proxy' when subresource = 'ephemeralcontainers' then 'debug'
            else subresource end) as kind,
        any_value("user") as "user", any_value(groups) as groups, any_value(impersonated) as impersonated,
        any_value(source_ips) as source_ips, any_value(user_agent) as user_agent,
        any_value(credential_id) as credential_id, any_value(object_namespace) as object_namespace,
        any_value(object_name) as object_name, any_value(exec_container) as exec_container,
        any_value(command) as command, max(code) as code, any_value(pod_uid) as pod_uid,
        any_value(pod_name) as pod_name, any_value(namespace) as namespace, any_value(container_id) as container_id,
        any_value(container_name) as container_name
    from audit
    where audit_id is not null and ((resource = 'pods' and subresource in {_KINDS} and verb not in ('list', 'watch')
            and not (subresource = 'ephemeralcontainers' and verb = 'get'))
        or (resource = 'nodes' and subresource = 'proxy' and regexp_matches(request_uri, '/proxy/(exec|run|attach)/')))
    group by audit_id
"""
_NEAR = "interval 10 minutes"
_SAME = 5.0
"""Seconds: the start of an exec, and so the difference of clocks that is none."""
_MATCHED = f"""
    with recursive opened as (select * from s where coalesce(code, 101) < 300 and pod_uid is not null),
    inside as (
        select pid, ppid, args, start_time, container_id, pod_uid, comm, cast(pid as varchar) || ' '
            || strftime(start_time, '%H:%M:%S.%g') || ' ' || coalesce(array_to_string(args, ' '), comm) as words
        from p where pod_uid is not null and start_time is not null),
    same as (
        select audit_id, pid, epoch(start_time) - epoch(time) as delay from (
            select *, row_number() over (partition by audit_id order by abs(epoch(start_time) - epoch(time))) as n
            from opened join inside using (pod_uid)
            where args = command and (opened.container_id is null or opened.container_id = inside.container_id)
                and start_time between time - {_NEAR} and time + {_NEAR})
        where n = 1),
    clock as (
        select case when median(delay) between -0.5 and {_SAME} then 0.0 else median(delay) end as ahead,
            count(*) as said_by from same),
    own as (
        select audit_id, pid from same, clock where abs(delay - ahead) <= {_SAME}),
    tree as (
        select audit_id, pid, 1 as depth, 'its command' as how from own
        union select tree.audit_id, inside.pid, depth + 1, 'child of ' || tree.pid
        from tree join inside on inside.ppid = tree.pid where depth < 32),
    meanwhile as (
        select audit_id, inside.pid, contains(array_to_string(command, ' '), array_to_string(args, ' '))
            or contains(array_to_string(command, ' '), coalesce(args[1], comm))
            or (length(comm) > 3 and contains(array_to_string(command, ' '), comm)) as named
        from clock, opened join inside using (pod_uid) left join c on c.container_id = inside.container_id
        where kind in ('exec', 'attach', 'debug') and inside.pid is distinct from c.init_pid
            and (opened.container_id is null or opened.container_id = inside.container_id)
            and epoch(start_time) between epoch(time) + coalesce(ahead, 0) - 0.1
                and coalesce(epoch("end") + coalesce(ahead, 0) + 0.2, 1e12)
            and (inside.ppid = c.init_pid or inside.ppid not in (
                select pid from inside as other where other.container_id = inside.container_id))
            and inside.pid not in (select pid from tree)),
    left_behind as (
        select audit_id, pid, 1 as depth, 'started meanwhile, named in the command' as how from meanwhile where named
        union select left_behind.audit_id, inside.pid, depth + 1, 'child of ' || left_behind.pid
        from left_behind join inside on inside.ppid = left_behind.pid where depth < 32),
    every as (
        select audit_id, pid, how, 0 as weak from tree union all select audit_id, pid, how, 1 from left_behind
        union all select audit_id, pid, 'started meanwhile', 2 from meanwhile where not named),
    best as (
        select audit_id, pid, any_value(how) as how, min(weak) as weak from every
        group by audit_id, pid),
    first as (select * from best where weak = (select min(weak) from best as other where other.pid = best.pid)),
    said as (
        select audit_id, list(pid order by pid) filter (weak < 2) as pids,
            list(words || ' (' || how || ')' order by pid) filter (weak < 2) as processes,
            list(pid order by pid) filter (weak = 2) as maybe
        from first join inside using (pid) group by audit_id)
    select s.*, pids, processes, maybe, ahead as clock_offset, cast(said_by as integer) as clock_said_by
    from s left join said using (audit_id), clock order by time, audit_id
"""


def read(source: LogSource) -> Frame:
    """Each session once, in the order of time; those that were refused too."""
    import pyarrow as pa

    from memir.tables.sql import connected

    tables = {name: source.ram(name) for name in ("processes", "containers")}
    with connected({"audit": source.table("audit")}) as connection:
        sessions = connection.sql(_SESSIONS).to_arrow_table()
    with connected(
        {"s": sessions, "p": _some(tables["processes"], _PROCESS), "c": _some(tables["containers"], _CONTAINER)}
    ) as connection:
        rows = connection.sql(_MATCHED).to_arrow_table()
    data = {name: rows[name] for name in rows.column_names}
    data["source"] = pa.array(["Kubernetes audit log; process memory"] * rows.num_rows, pa.string())
    return Frame({column.name: data[column.name] for column in TABLE.columns})


_PROCESS = ("pid", "ppid", "comm", "args", "start_time", "container_id", "pod_uid")
_CONTAINER = ("container_id", "init_pid")


def _some(table: pa.Table | None, names: tuple[str, ...]) -> Any:
    """These columns of a table of the node; without rows where it is not known."""
    import pyarrow as pa

    from memir.tables.frame import arrow_type

    if table is not None:
        return table.select(list(names))
    types: dict[str, Any] = {
        "pid": "int32",
        "ppid": "int32",
        "init_pid": "int32",
        "args": "list<string>",
        "start_time": "timestamp",
    }
    return pa.table({name: pa.array([], arrow_type(types.get(name, "string"))) for name in names})


TABLE = Table(
    "sessions", "Shells, tunnels and debuggers that were opened in pods: who opened them, and what they left.",
    COLUMNS, "row", {"logs": read},
)  # fmt: skip
