# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end of a connection whose addresses netfilter translates: behind a service's address the pod that
serves it, behind the node's the one that asked."""

from __future__ import annotations

from memir.kernel.nf_conntrack import DST_NAT, SRC_NAT, Connections
from memir.kube.addresses import Remote

End = tuple[int, str, int, str, int]
"""A connection as one end's socket has it: protocol, own address and port, the other's as it knows them."""


def translated(every: Connections | None) -> dict[End, str]:
    """The address that is really at the other end, by what either end's socket says; of a table of this node's.

    Of two entries for the same ends the one that has not ended counts.
    """
    ends: dict[End, str] = {}
    if every is None:
        return ends
    rows = zip(every.protocol.tolist(), every.original, every.reply, every.status.tolist(), every.ended.tolist(),
               strict=True)  # fmt: skip
    for protocol, first, last, status, _ in sorted(rows, key=lambda row: not row[4]):
        if status & (SRC_NAT | DST_NAT):
            asked = (protocol, first.source, first.source_port, first.destination, first.destination_port)
            answered = (protocol, last.source, last.source_port, last.destination, last.destination_port)
            ends[asked] = last.source
            ends[answered] = first.source
    return ends


def behind(own: Remote, real: Remote) -> Remote:
    """What the other end is: own, by the address that the socket knows; real, by the one that was put in its place."""
    if own.kind == "service":
        return Remote(own.kind, own.name, real.pod_uid)
    return real if real.kind is not None else own
