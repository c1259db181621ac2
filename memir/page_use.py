# SPDX-License-Identifier: Apache-2.0
"""RAM by pod and kind: the table `pages` added up, as `memir pages` shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from memir.ram_node import of_ram

if TYPE_CHECKING:
    from memir.node import Node

KINDS = ("pod", "container", "shared", "node", "free", "not known")
"""What a share is: one pod's, a container's of no known pod, of several pods, the node's, nobody's, or of no rule."""
_WORDS = {"shared": "shared by pods", "node": "the node", "free": "free", "not known": "not known"}

_OWNER = """
    case when kind = 'free' then 'free'
        when pod_uid is not null or pod_name is not null then 'pod' when container_id is not null then 'container'
        when kind = 'not known' then 'not known' when shared_by is not null then 'shared' else 'node' end as what,
    namespace, pod_name, coalesce(pod_uid, container_id) as uid, kind"""
_SHARES = f"select {_OWNER}, sum(bytes)::bigint as bytes from pages group by all order by bytes desc, kind"
_LEAVES = f"""
    select {_OWNER},
        coalesce(path, name, processes.comm || ' ' || pages.pid, case when len(pids) > 0
            then 'pids ' || array_to_string(pids[1:4], ', ') || case when len(pids) > 4 then ', ...' else '' end end,
            kind) as leaf,
        sum(bytes)::bigint as bytes
    from pages left join (select pid, any_value(comm) as comm from processes group by pid) as processes
        on processes.pid = pages.pid
    group by all order by bytes desc, leaf"""
_REMOVED = """
    select cgroup, charged_pod_uid as pod_uid, sum(bytes)::bigint as bytes from pages where cgroup_removed
    group by all order by bytes desc, cgroup"""
_ELSEWHERE = """
    select charged_pod_uid, pod_uid, shared_by, kind, sum(bytes)::bigint as bytes from pages
    where charged_pod_uid is not null and charged_pod_uid is distinct from pod_uid
    group by all order by bytes desc, kind"""


@dataclass(frozen=True)
class Share:
    """RAM of one owner. what: of KINDS; uid: of the pod, or the container's id. bytes: by kind, the largest first."""

    what: str
    namespace: str | None
    pod_name: str | None
    uid: str | None
    bytes: dict[str, int]

    @property
    def total(self) -> int:
        """Bytes of all kinds."""
        return sum(self.bytes.values())

    @property
    def title(self) -> str:
        """The owner in words."""
        name = "/".join(part for part in (self.namespace, self.pod_name) if part)
        return _WORDS.get(self.what) or name or f"{self.what} {self.uid or ''}"


@dataclass(frozen=True)
class PageUse:
    """RAM of an image, each frame once.

    shares: pods by size, containers of no known pod, what pods share, the node's, free, not known. removed: (cgroup,
    pod UID, bytes) of cgroups that have been removed and are still charged. elsewhere: memory that is charged to a pod,
    and another's or several pods' by its process or file. leaves: (share, kind, name, bytes), for a picture.
    """

    shares: tuple[Share, ...]
    removed: tuple[tuple[str | None, str | None, int], ...]
    elsewhere: tuple[dict[str, Any], ...]
    leaves: tuple[tuple[Share, str, str, int], ...]

    @property
    def total(self) -> int:
        """Bytes of all frames."""
        return sum(share.total for share in self.shares)

    @property
    def kinds(self) -> dict[str, int]:
        """Bytes by kind, the largest first."""
        sums: dict[str, int] = {}
        for share in self.shares:
            for kind, size in share.bytes.items():
                sums[kind] = sums.get(kind, 0) + size
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))

    def document(self) -> dict[str, Any]:
        """As --json prints it."""
        shares = [{**asdict(share), "total": share.total} for share in self.shares]
        removed = [dict(zip(("cgroup", "pod_uid", "bytes"), row, strict=True)) for row in self.removed]
        return {
            "total": self.total, "kinds": self.kinds, "shares": shares, "removed_cgroups": removed,
            "charged_elsewhere": list(self.elsewhere),
        }  # fmt: skip


def page_use(node: Node) -> PageUse:
    """Whose the RAM of a node is."""
    of_ram(node)
    by_owner: dict[tuple[str, Any, Any, Any], dict[str, int]] = {}
    for *owner, kind, size in _rows(node, _SHARES):
        by_owner.setdefault(tuple(owner), {})[kind] = size
    shares = [Share(*owner, sizes) for owner, sizes in by_owner.items()]
    shares.sort(key=lambda share: (KINDS.index(share.what), -share.total, share.title))
    known = {(share.what, share.namespace, share.pod_name, share.uid): share for share in shares}
    leaves = [(known[tuple(owner)], kind, leaf, size) for *owner, kind, leaf, size in _rows(node, _LEAVES)]
    elsewhere = node.sql(_ELSEWHERE)
    return PageUse(
        tuple(shares), tuple((row[0], row[1], row[2]) for row in _rows(node, _REMOVED)), tuple(elsewhere), tuple(leaves)
    )


def _rows(node: Node, sql: str) -> Iterator[Sequence[Any]]:
    for row in node.sql(sql):
        yield list(row.values())
