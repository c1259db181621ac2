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
    log              string       file
    line             int64        line in that file, from 1
    source           string       where the row comes from
""")
FORMATS = (Format("flowlogs", "VPC flow logs", sql),)
_OWNED = """
    select number, coalesce(a.pod_uid, b.pod_uid) as pod_uid, coalesce(a.pod_name, b.pod_name) as pod_name,
        coalesce(a.namespace, b.namespace) as namespace
    from log left join addresses as a on a.address = log.src left join addresses as b on b.address = log.dst
    where (a.pod_uid is null) <> (b.pod_uid is null) or a.pod_uid = b.pod_uid
"""


def read(source: LogSource) -> Frame:
    """Every record. It is the pod's that has one of the addresses; of two pods that talk, nobody's alone."""
    return source.owned(TABLE, _OWNED)


TABLE = Table("flowlogs", "Connections by VPC flow logs.", COLUMNS, "row", {"logs": read})
