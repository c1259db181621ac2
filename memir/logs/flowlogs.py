# SPDX-License-Identifier: Apache-2.0
"""The table `flowlogs`: VPC flow logs, versions 2 to 8, as text and as Parquet.

https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html. Text: fields between spaces, their names on the
first line where it comes from S3; without one it is version 2's default. Parquet has `_` where text has `-`.
"""

from __future__ import annotations

from memir.logs.flow_fields import sql
from memir.logs.format import Format
from memir.logs.source import LogSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    time             timestamp    start of the interval, UTC
    end              timestamp    its end
    account          string       account of the network interface
    interface_id     string       network interface: eni-...
    instance_id      string       instance that it is attached to
    src              string       source address of the packets: pkt-srcaddr where the log has it, else srcaddr
    src_port         int32        source port
    dst              string       destination address of the packets: pkt-dstaddr where the log has it, else dstaddr
    dst_port         int32        destination port
    srcaddr          string       source address as the interface had it: its own primary one for what it sent
    dstaddr          string       destination address as the interface had it
    protocol         int32        IANA number: 6 TCP, 17 UDP
    packets          int64        packets
    bytes            int64        bytes
    action           string       ACCEPT or REJECT
    status           string       OK, NODATA or SKIPDATA
    direction        string       ingress or egress
    tcp_flags        int32        flags seen, OR-ed: 2 SYN, 18 SYN-ACK, 1 FIN, 4 RST
    version          int32        version of the record
    fields           list<string> `name=value` of what else the record has
    row_table        string       where memory has a connection with these ends: sockets or conntrack
    row_key          string       that row: select * from TABLE where KEY
    pids             list<int32>  processes that have its socket open
    log              string       file
    line             int64        line in that file, from 1
    source           string       where the row comes from
""")
FORMATS = (Format("flowlogs", "VPC flow logs", sql),)
_OWNED = """
    with opened as (
        select case when starts_with(protocol, 'tcp') then 6 when starts_with(protocol, 'udp') then 17 end as protocol,
            regexp_replace(local, '^::ffff:', '') as a, local_port as ap, regexp_replace(remote, '^::ffff:', '') as b,
            remote_port as bp, pids, pod_uid, pod_name, namespace, container_id, container_name, sock
        from sockets where remote_port > 0 and local_port > 0),
    followed as (
        select c.*, s.pids, case when c.protocol = 'tcp' then 6 when c.protocol = 'udp' then 17 end as number_of,
            coalesce(s.pod_uid, c.pod_uid) as its_uid, coalesce(s.pod_name, c.pod_name) as its_name,
            coalesce(s.namespace, c.namespace) as its_namespace, s.container_id as its_id, s.container_name as its_box
        from conntrack as c left join opened as s on s.a = c.orig_src and s.ap = c.orig_src_port
            and s.b = c.orig_dst and s.bp = c.orig_dst_port),
    ways as (
        select protocol, a, ap, b, bp, 0 as rank, 'sockets' as row_table, 'sock = ' || sock as row_key, pids, pod_uid,
            pod_name, namespace, container_id, container_name from opened
        union all
        select number_of, orig_src, orig_src_port, orig_dst, orig_dst_port, 1, 'conntrack', 'entry = ' || entry, pids,
            its_uid, its_name, its_namespace, its_id, its_box from followed
        union all
        select number_of, reply_dst, reply_dst_port, reply_src, reply_src_port, 2, 'conntrack', 'entry = ' || entry,
            pids, its_uid, its_name, its_namespace, its_id, its_box from followed),
    both_ways as (
        select * from ways union all
        select protocol, b, bp, a, ap, rank, row_table, row_key, pids, pod_uid, pod_name, namespace, container_id,
            container_name from ways),
    seen as (
        select number, w.* exclude (protocol, a, ap, b, bp) from log join both_ways as w
            on w.a = log.src and w.ap = log.src_port and w.b = log.dst and w.bp = log.dst_port
            and w.protocol = log.protocol
        qualify row_number() over (partition by number order by w.pids is null, w.rank, w.row_key) = 1),
    owned as (
        select number, coalesce(a.pod_uid, b.pod_uid) as pod_uid, coalesce(a.pod_name, b.pod_name) as pod_name,
            coalesce(a.namespace, b.namespace) as namespace
        from log left join addresses as a on a.address = log.src left join addresses as b on b.address = log.dst
        where (a.pod_uid is null) <> (b.pod_uid is null) or a.pod_uid = b.pod_uid),
    two as (
        select number from log join addresses as a on a.address = log.src join addresses as b on b.address = log.dst
        where a.pod_uid <> b.pod_uid)
    select number, row_table, row_key, pids,
        if(two.number is null, coalesce(owned.pod_uid, seen.pod_uid), null) as pod_uid,
        if(two.number is null, coalesce(owned.pod_name, seen.pod_name), null) as pod_name,
        if(two.number is null, coalesce(owned.namespace, seen.namespace), null) as namespace,
        if(two.number is null and (owned.pod_uid is null or owned.pod_uid = seen.pod_uid), seen.container_id, null)
            as container_id,
        if(two.number is null and (owned.pod_uid is null or owned.pod_uid = seen.pod_uid), seen.container_name, null)
            as container_name
    from seen full join owned using (number) left join two using (number)
"""


def read(source: LogSource) -> Frame:
    """Every record. It is the pod's that has one of the addresses; of two pods that talk, nobody's alone.

    Where the addresses are the node's, it is the pod's whose connection memory has under them.
    """
    return source.owned(TABLE, _OWNED, more={name: source.some(name) for name in ("sockets", "conntrack")})


TABLE = Table("flowlogs", "Connections by VPC flow logs.", COLUMNS, "row", {"logs": read})
