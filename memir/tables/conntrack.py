# SPDX-License-Identifier: Apache-2.0
"""The table `conntrack`."""

from __future__ import annotations

from typing import Any

import numpy as np

from memir.kernel import nf_conntrack
from memir.kernel.nf_conntrack import Connections
from memir.kube.addresses import Remote
from memir.kube.owner import NODE, Owner, OwnerBatch, sort_owners
from memir.kube.ram import RamSource
from memir.tables.frame import Frame, known
from memir.tables.table import Table, columns

COLUMNS = columns("""
    net_ns           uint64       network namespace inum that follows the connection; the node's sees its pods' too
    zone             int32        conntrack zone
    protocol         string       tcp, udp, icmp, ...; a number where it has no name
    orig_src         string       address of whoever began it
    orig_src_port    int32        port; of ICMP the id
    orig_dst         string       address that was asked for: of a service, where nat has destination
    orig_dst_port    int32        port; of ICMP type and code, 256 * type + code
    reply_src        string       address that answers: the pod behind a service
    reply_src_port   int32        port
    reply_dst        string       address that the answer goes to: the node's, where nat has source
    reply_dst_port   int32        port
    nat              string       source, destination or both; null: none
    state            string       of TCP ESTABLISHED, TIME_WAIT, ...; ended: no longer in the table, its slot not reused
    status           list<string> seen_reply, assured, confirmed, dying
    timeout          int64        seconds until it is forgotten, unless a packet comes; negative: overdue
    packets          int64        of both directions; null where they are not counted (nf_conntrack_acct)
    bytes            int64        of both directions
    start_time       timestamp    when it began; null where that is not noted (nf_conntrack_timestamp)
    from_pod_uid     string       pod that began it
    from_name        string       namespace/name of that pod, node, or what an AWS address serves
    from_kind        string       pod, node, other node, service, aws, loopback, private, outside, multicast
    to_pod_uid       string       pod that answers
    to_name          string       as from_name, of who answers
    to_kind          string       as from_kind
    service          string       namespace/name of the service whose address was asked for, by --cluster
    entry            uint64       kernel virtual address of struct nf_conn
    source           string       where the row comes from
""")
_PROTOCOLS = {
    1: "icmp", 2: "igmp", 4: "ipip", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah",
    58: "icmpv6", 132: "sctp", 136: "udplite",
}  # fmt: skip
_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
    "SYN_SENT2",
)  # fmt: skip
"""enum tcp_conntrack, as conntrack -L prints it."""
_STATUS = {
    nf_conntrack.SEEN_REPLY: "seen_reply",
    nf_conntrack.ASSURED: "assured",
    nf_conntrack.CONFIRMED: "confirmed",
    nf_conntrack.DYING: "dying",
}
_NAT = {
    nf_conntrack.SRC_NAT: "source",
    nf_conntrack.DST_NAT: "destination",
    nf_conntrack.SRC_NAT | nf_conntrack.DST_NAT: "both",
}


def read(source: RamSource) -> Frame:
    """Connections of every network namespace, by namespace, protocol and addresses."""
    net, inum = source.net_namespaces
    every = source.connections
    if every is None:
        return Frame({column.name: [] for column in TABLE.columns})
    space = dict(zip(net.tolist(), inum.tolist(), strict=True))
    spaces = [space[address] for address in every.net.tolist()]
    name = source.addresses.name
    first = [name(way.source) for way in every.original]
    last = [name(way.source) for way in every.reply]
    asked = [name(way.destination) for way in every.original]
    data: dict[str, Any] = {
        "net_ns": spaces,
        "zone": every.zone,
        "protocol": [_PROTOCOLS.get(number, str(number)) for number in every.protocol.tolist()],
        **_ends("orig", every.original),
        **_ends("reply", every.reply),
        "nat": [_NAT.get(bits & (nf_conntrack.SRC_NAT | nf_conntrack.DST_NAT)) for bits in every.status.tolist()],
        "state": _states(every),
        "status": [[text for bit, text in _STATUS.items() if bits & bit] for bits in every.status.tolist()],
        "timeout": [None if left is None else left // 1_000_000_000 for left in every.timeout],
        "packets": known(every.packets),
        "bytes": known(every.bytes),
        "start_time": [None if ns is None or ns == 0 else ns // 1000 for ns in known(every.start)],
        **_named("from", first),
        **_named("to", last),
        "service": [whom.name if whom.kind == "service" else None for whom in asked],
        "entry": every.entry.tolist(),
        "source": ["struct nf_conn, free slot" if gone else "struct nf_conn" for gone in every.ended],
    }
    data |= OwnerBatch.of_lists(_owners(source, spaces, first, last)).columns()
    key = list(zip(spaces, data["protocol"], every.ended.tolist(), data["orig_src"], data["orig_src_port"],
                   data["orig_dst"], data["orig_dst_port"], data["entry"], strict=True))  # fmt: skip
    order = sorted(range(len(every)), key=key.__getitem__)
    return Frame(data, np.zeros(len(every), np.uint64)).take(order)


def _ends(prefix: str, ways: list[nf_conntrack.Tuple]) -> dict[str, Any]:
    return {
        f"{prefix}_src": [way.source for way in ways],
        f"{prefix}_src_port": [way.source_port for way in ways],
        f"{prefix}_dst": [way.destination for way in ways],
        f"{prefix}_dst_port": [way.destination_port for way in ways],
    }


def _named(prefix: str, whom: list[Remote]) -> dict[str, Any]:
    return {
        f"{prefix}_pod_uid": [remote.pod_uid for remote in whom],
        f"{prefix}_name": [remote.name for remote in whom],
        f"{prefix}_kind": [remote.kind for remote in whom],
    }


def _states(every: Connections) -> list[str | None]:
    rows = zip(every.state.tolist(), every.ended.tolist(), strict=True)
    return ["ended" if gone else _STATES[state] if 0 <= state < len(_STATES) else None for state, gone in rows]


def _owners(source: RamSource, spaces: list[int], first: list[Remote], last: list[Remote]) -> list[tuple[Owner, ...]]:
    """Of a pod's own namespace that pod; in the node's the pods at its ends, which are this node's, else the node."""
    who, host = source.owners, source.membership.host.get("net", 0)
    batch = who.by_namespace(spaces)
    answer = []
    for row, (inum, ends) in enumerate(zip(spaces, zip(first, last, strict=True), strict=True)):
        if inum != host:
            answer.append(sort_owners(owner.whole_pod() for owner in batch[row]))
            continue
        pods = {end.pod_uid for end in ends if end.pod_uid in source.pods}
        answer.append(sort_owners(who.pod(uid) for uid in pods if uid) or (NODE,))
    return answer


TABLE = Table(
    "conntrack", "Connections that netfilter follows, with what addresses were translated to.", COLUMNS, "namespace",
    {"ram": read}, volatility="linux.podconntrack",
)  # fmt: skip
