# SPDX-License-Identifier: Apache-2.0
"""The table `guardduty_claims`: what GuardDuty says, one claim a row, and what memory says to it.

Seen: a row of the node says the same. Contradicted: the thing is there, and is otherwise. Not resident: memory does not
say, because it has ended, was never here, or no table tells such a thing; nothing is concluded from that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memir.logs.source import LogSource
from memir.tables.frame import Frame, arrow_type
from memir.tables.table import Table, columns, tables

if TYPE_CHECKING:
    import pyarrow as pa

DERIVED_FROM = "guardduty"
COLUMNS = columns("""
    finding_id       string       GuardDuty's id of the finding
    type             string       its type
    claim            string       what is claimed: process.executablePath, network.remoteIp, ...
    value            string       the value that GuardDuty has
    verdict          string       seen, contradicted or not resident
    why              string       the same in words, with the value that memory has
    row_table        string       table of the row that says so
    row_key          string       that row: select * from TABLE where KEY
    source           string       where the row comes from
""")
_OWNERS = ("container_id", "container_name", "pod_uid", "pod_name", "namespace")
_NEEDED = {
    "processes": ("pid", "comm", "exe", "args", "start_time", "pid_in_container", "environ", *_OWNERS),
    "containers": (
        "container_id", "container_name", "image", "privileged", "host_pid", "kind", "pod_uid", "pod_name", "namespace"
    ),
    "pods": ("pod_uid", "pod_name", "namespace", "service_account", "host_network", "owner"),
    "inodes": ("path", "node_path", "container_path", "sha256", "address", "inode", "deleted", *_OWNERS),
    "modules": ("name", "module"),
    "mounts": ("mnt_ns", "mount_id", "mount_point", "source_path", "fstype", *_OWNERS),
    "sockets": ("remote", "remote_port", "local_port", "sock", "pid", *_OWNERS),
    "conntrack": ("orig_src", "orig_src_port", "orig_dst", "orig_dst_port", "reply_src", "entry", *_OWNERS),
    "secrets": ("fingerprint", "pid", *_OWNERS),
    "audit": ("user", "verb", "request_uri", "user_agent", "log", "line", *_OWNERS),
}
"""Columns of the tables that claims are compared with; a table that is not there has no rows."""
_SAID = """
    create temp table said as
    select number, finding_id, type, time, unnest(claimed) as text, pod_uid as finding_pod, claimed from g;
    create temp table claim as
    select row_number() over () as id, number, finding_id, type, time, split_part(text, '=', 1) as claim,
        substr(text, strpos(text, '=') + 1) as value, claimed from said;
    create temp macro named(claimed, name) as list_filter(claimed, lambda part: starts_with(part, name || '='))[1];
    create temp macro told(claimed, name) as substr(named(claimed, name), length(name) + 2);
    create temp macro moment(text) as coalesce(try_cast(text as timestamptz),
        case when try_cast(text as double) between 1e11 and 1e14
                then make_timestamptz((text::double * 1000)::bigint)
            when try_cast(text as double) between 1e8 and 1e11
                then make_timestamptz((text::double * 1000000)::bigint) end);
    create temp macro quoted(text) as '''' || replace(text, '''', '''''') || '''';
    create temp macro kind_of(type) as case lower(type) when 'deployments' then 'ReplicaSet'
        when 'cronjobs' then 'Job' when 'daemonsets' then 'DaemonSet' when 'statefulsets' then 'StatefulSet'
        when 'replicasets' then 'ReplicaSet' when 'jobs' then 'Job' end;
    create temp table workload as
    select c.id, p.*, p.pod_uid = told(c.claimed, 'workload.uid') or p.pod_name = c.named as itself
    from (select *, told(claimed, 'workload.name') as named, kind_of(told(claimed, 'workload.type')) as kind,
            lower(told(claimed, 'workload.type')) in ('deployments', 'cronjobs') as above
        from claim where claim like 'workload.%' and claim <> 'workload.type') as c
    join pods as p on p.pod_uid = told(c.claimed, 'workload.uid')
        or (p.namespace = told(c.claimed, 'workload.namespace') and (p.pod_name = c.named
            or p.owner = c.kind || '/' || c.named
            or (c.above and starts_with(p.owner, c.kind || '/' || c.named || '-')
                and regexp_full_match(substr(p.owner, length(c.kind || c.named) + 3), '[a-z0-9]{5,10}'))));
    create temp table whose as
    select c.id, p.*, moment(told(c.claimed, c.which || '.startTime')) as started,
        abs(epoch(p.start_time) - epoch(moment(told(c.claimed, c.which || '.startTime')))) < 2 as same_start,
        row_number() over (partition by c.id order by
            coalesce(abs(epoch(p.start_time) - epoch(moment(told(c.claimed, c.which || '.startTime')))), 0), p.pid) as n
    from (select *, split_part(claim, '.', 1) as which from claim
            where split_part(claim, '.', 1) in ('process', 'modifyingProcess', 'targetProcess')) as c
    join processes as p on p.pid = try_cast(told(c.claimed, c.which || '.pid') as integer)
        or (told(c.claimed, c.which || '.pid') is null
            and p.pid_in_container = try_cast(told(c.claimed, c.which || '.namespacePid') as integer)
            and p.container_id = regexp_replace(told(c.claimed, 'container.id'), '^[a-z]+://', ''))
"""
_PROCESS = """
    select c.id, case
            when coalesce(not p.same_start, false) then 'not resident'
            when field in ('name', 'executablePath', 'pid', 'namespacePid', 'startTime') then
                if(theirs = value or field in ('pid', 'startTime'), 'seen',
                   if(coalesce(p.same_start, false), 'contradicted', 'not resident'))
            else 'not resident' end as verdict,
        case when coalesce(not p.same_start, false) then 'pid ' || p.pid || ' is another process now, started '
                || strftime(p.start_time, '%Y-%m-%d %H:%M:%S')
            when field not in ('name', 'executablePath', 'pid', 'namespacePid', 'startTime')
                then 'no table of memory has this of a process'
            else 'pid ' || p.pid || ' has ' || coalesce(theirs, 'none that is known') end as why,
        'processes' as row_table, 'pid = ' || p.pid as row_key,
        p.container_id, p.container_name, p.pod_uid, p.pod_name, p.namespace
    from (select *, split_part(claim, '.', 2) as field from claim) as c
    join (select *, from whose where n = 1) as p using (id),
    lateral (select case field when 'name' then p.comm
        when 'executablePath' then regexp_replace(p.exe, ' [(]deleted[)]$', '')
        when 'pid' then p.pid::varchar when 'namespacePid' then p.pid_in_container::varchar
        when 'startTime' then strftime(p.start_time, '%Y-%m-%dT%H:%M:%S.%fZ') end as theirs) as t
    where field <> 'executableSha256'
"""
_OWN = ", ".join(_OWNERS)
_MATCHES = f"""
    select id, 'seen' as verdict,
        'a file in memory has this SHA-256: ' || coalesce(container_path, node_path, path, '?') as why,
        'inodes' as row_table, 'address = ' || address || ' and inode = ' || inode as row_key, {_OWN}
    from claim join inodes on sha256 = lower(value) where claim like '%Sha256'
    union all
    select id, if(image = value or image like value || '@%', 'seen', 'contradicted'),
        'container ' || left(container_id, 12) || ' runs ' || coalesce(image, '?'), 'containers',
        'container_id = ' || quoted(container_id), {_OWN}
    from claim join containers on container_id = regexp_replace(told(claimed, 'container.id'), '^[a-z]+://', '')
    where claim = 'container.image' and image is not null
    union all
    select id, if(privileged = try_cast(value as boolean), 'seen', 'contradicted'),
        'container ' || left(container_id, 12) || if(privileged, ' is privileged', ' is not privileged'), 'containers',
        'container_id = ' || quoted(container_id), {_OWN}
    from claim join containers on container_id = regexp_replace(told(claimed, 'container.id'), '^[a-z]+://', '')
    where claim = 'container.privileged' and privileged is not null
    union all
    select id, if(claim = 'container.id' or container_name = value, 'seen', 'contradicted'),
        'container ' || left(container_id, 12) || ' is ' || coalesce(container_name, 'without name'), 'containers',
        'container_id = ' || quoted(container_id), {_OWN}
    from claim join containers on container_id = regexp_replace(told(claimed, 'container.id'), '^[a-z]+://', '')
    where claim in ('container.id', 'container.name')
    union all
    select id, if(theirs = lower(value), 'seen', 'contradicted'),
        'the pod ' || if(itself, '', coalesce(pod_name, pod_uid) || ' of it ') || 'has ' || theirs, 'pods',
        'pod_uid = ' || quoted(pod_uid), null, null, pod_uid, pod_name, namespace
    from (select c.id, c.value, w.* exclude (id), case c.claim
            when 'workload.name' then if(w.itself, w.pod_name, lower(c.value))
            when 'workload.namespace' then w.namespace
            when 'workload.uid' then if(w.itself, w.pod_uid, null)
            when 'workload.hostNetwork' then w.host_network::varchar
            when 'workload.hostPID' then (select bool_or(host_pid) from containers as b where b.pod_uid = w.pod_uid
                and b.kind <> 'sandbox')::varchar
            when 'workload.serviceAccountName' then w.service_account end as theirs
        from claim as c join workload as w on w.id = c.id) where theirs is not null
    union all
    select c.id, case c.claim when 'workload.container.name' then 'seen'
            when 'workload.container.image' then if(b.image = c.value or b.image like c.value || '@%', 'seen',
                'contradicted')
            else if(b.privileged = try_cast(c.value as boolean), 'seen', 'contradicted') end,
        'container ' || left(b.container_id, 12) || ' of the pod ' || coalesce(b.pod_name, b.pod_uid) || case c.claim
            when 'workload.container.name' then ' is ' || b.container_name
            when 'workload.container.image' then ' runs ' || b.image
            else if(b.privileged, ' is privileged', ' is not privileged') end,
        'containers', 'container_id = ' || quoted(b.container_id), b.container_id, b.container_name, b.pod_uid,
        b.pod_name, b.namespace
    from claim as c join workload as w on w.id = c.id
    join containers as b on b.pod_uid = w.pod_uid and b.container_name = told(c.claimed, 'workload.container.name')
    where c.claim like 'workload.container.%' and (c.claim <> 'workload.container.image' or b.image is not null)
        and (c.claim <> 'workload.container.privileged' or b.privileged is not null)
    union all
    select id, 'seen', 'a socket has this as its other end', 'sockets', 'sock = ' || sock, {_OWN}
    from claim join sockets on regexp_replace(remote, '^::ffff:', '') = told(claimed, 'network.remoteIp')
        and (told(claimed, 'network.remotePort') is null
            or remote_port = try_cast(told(claimed, 'network.remotePort') as integer)
            or local_port = try_cast(told(claimed, 'network.localPort') as integer))
    where claim in ('network.remoteIp', 'network.remotePort', 'network.localPort')
        and (claim <> 'network.remotePort' or remote_port = try_cast(value as integer))
        and (claim <> 'network.localPort' or local_port = try_cast(value as integer))
    union all
    select id, 'seen', 'conntrack has a connection with it', 'conntrack', 'entry = ' || entry, {_OWN}
    from claim join conntrack on told(claimed, 'network.remoteIp') in (orig_dst, orig_src, reply_src)
    where (claim = 'network.remoteIp') or (claim = 'network.remotePort'
        and try_cast(value as integer) in (orig_dst_port, orig_src_port))
    union all
    select id, 'seen', 'a file in memory lies there' || if(deleted, ', deleted', ''), 'inodes',
        'address = ' || address || ' and inode = ' || inode, {_OWN}
    from claim join inodes on value in (container_path, node_path, path)
    where claim in ('context.scriptPath', 'context.libraryPath', 'context.socketPath', 'context.runcBinaryPath',
        'context.releaseAgentPath', 'context.moduleFilePath', 'context.shellHistoryFilePath', 'context.filePath',
        'context.threatFilePath')
    union all
    select id, 'seen', 'the module is loaded', 'modules', 'module = ' || module, null, null, null, null, null
    from claim join modules on name = value where claim = 'context.moduleName'
    union all
    select id, 'seen', 'a mount has it', 'mounts', 'mnt_ns = ' || mnt_ns || ' and mount_id = ' || mount_id, {_OWN}
    from claim join mounts on (claim = 'context.mountSource' and source_path = value)
        or (claim = 'context.mountTarget' and mount_point = value)
    where claim in ('context.mountSource', 'context.mountTarget')
    union all
    select id, 'seen', 'pid ' || pid || ' runs it', 'processes', 'pid = ' || pid, {_OWN}
    from claim join processes on (claim = 'context.commandLineExample' and array_to_string(args, ' ') = value)
        or (claim = 'context.toolName' and lower(comm) = lower(value))
        or (claim = 'context.ldPreloadValue' and list_contains(environ, 'LD_PRELOAD=' || value))
    where claim in ('context.commandLineExample', 'context.toolName', 'context.ldPreloadValue')
    union all
    select id, 'seen', 'an access key with this id lies in memory', 'secrets',
        'fingerprint = ' || quoted(fingerprint), {_OWN}
    from claim join secrets on fingerprint = 'sha256:' || sha256(value) where claim = 'accessKey.accessKeyId'
    union all
    select id, 'seen', 'the audit log has the request', 'audit',
        'log = ' || quoted(log) || ' and line = ' || line, {_OWN}
    from claim join audit on (claim = 'api.requestUri' and request_uri = split_part(value, '?', 1)
            and verb = coalesce(told(claimed, 'api.verb'), verb))
        or (claim = 'user.username' and "user" = value and told(claimed, 'api.requestUri') is null)
    where claim in ('api.requestUri', 'user.username')
"""
_NO_TABLE = ("dns.", "instance.", "user.", "api.", "workload.type", "context.fileSystemType", "context.flags")
_ANSWER = f"""
    with hits as (select *, 0 as weak from ({_MATCHES}) union all select *, 1 from ({_PROCESS})),
    first as (select * from hits qualify row_number() over (partition by id order by verdict <> 'seen',
        verdict <> 'contradicted', weak, row_table, row_key) = 1)
    select finding_id, type, claim, value, coalesce(verdict, 'not resident') as verdict, coalesce(why,
        case when {" or ".join(f"starts_with(claim, '{start}')" for start in _NO_TABLE)}
            then 'no table of memory tells this' else 'nothing in memory has it: it may have ended, or not be read' end)
        as why, row_table, row_key, {_OWN}
    from claim left join first using (id) order by claim.number, claim.id
"""


def read(source: LogSource) -> Frame:
    """Every claim of every finding, in the order of the findings."""
    import numpy as np
    import pyarrow as pa

    from memir.tables.sql import connected

    findings = source.table("guardduty")
    numbered = findings.append_column("number", pa.array(np.arange(findings.num_rows)))
    with connected({"g": numbered, **{name: _some(source, name) for name in _NEEDED}}) as connection:
        connection.execute(_SAID)
        rows = connection.sql(_ANSWER).to_arrow_table()
    data: dict[str, Any] = {name: rows[name] for name in rows.column_names}
    data["source"] = pa.array(["GuardDuty findings; memory"] * rows.num_rows, pa.string())
    return Frame({column.name: data[column.name] for column in TABLE.columns})


def _some(source: LogSource, name: str) -> pa.Table:
    """A table's columns that are compared; without rows where the table is not there."""
    import pyarrow as pa

    of_logs = name == "audit"
    table = (source.table(name) if name in source.tables else None) if of_logs else source.ram(name)
    types = {column.name: column.type for column in tables()[name].columns}
    if table is None:
        return pa.table({column: pa.array([], arrow_type(types[column])) for column in _NEEDED[name]})
    return table.select([column for column in _NEEDED[name] if column in table.column_names])


TABLE = Table(
    "guardduty_claims", "What GuardDuty claims, and what memory says to each claim.", COLUMNS, "row", {"logs": read}
)
