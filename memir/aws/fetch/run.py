# SPDX-License-Identifier: Apache-2.0
"""A run of `memir fetch-logs`: every source, piece by piece, going on where a run before was cut.

A piece that is there is not asked for again, unless it was stored so soon after its end that more may have come.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from memir.aws.client import Connection
from memir.aws.errors import EXPIRED, cause_code
from memir.aws.fetch import cloudtrail, cloudwatch, flowlogs, guardduty
from memir.aws.fetch.scope import Piece, Scope, Source, Unread
from memir.aws.fetch.store import WRITTEN_BY, Store, store_of
from memir.aws.fetch.window import LATE, Window, text
from memir.errors import AccessError, RemoteError, StorageError, UsageError

SCHEMA = 1
SOURCES: tuple[Source, ...] = (
    cloudwatch.AUDIT, cloudwatch.AUTHENTICATOR, cloudtrail.SOURCE, guardduty.SOURCE, flowlogs.SOURCE,
)  # fmt: skip
_EVERY = 20  # pieces after which the record is written: what a run that is killed may lose of it
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class File:
    """A piece that is stored. fetched: when, UTC. sha256, size: null where a run before was killed before it said."""

    name: str
    fetched: str
    size: int | None = None
    sha256: str | None = None


@dataclass
class Fetched:
    """fetch.json. new: files of this run; kept: those that were there."""

    cluster: str
    begin: str
    end: str
    node: str
    region: str
    account: str
    sources: list[str]
    finished: str = ""
    new: int = 0
    kept: int = 0
    files: dict[str, File] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As fetch.json has it."""
        return {
            "written_by": WRITTEN_BY, "schema": SCHEMA, "cluster": self.cluster, "from": self.begin, "to": self.end,
            "node": self.node, "region": self.region, "account": self.account, "sources": self.sources,
            "finished": self.finished, "files": [asdict(self.files[name]) for name in sorted(self.files)],
            "unread": [asdict(each) for each in self.unread],
        }  # fmt: skip


def chosen_sources(names: Collection[str]) -> tuple[Source, ...]:
    """The sources of these names, all for none. UsageError names those that there are."""
    known = {source.name for source in SOURCES}
    for name in names:
        if name not in known:
            raise UsageError(f"--only {name}: there are {', '.join(source.name for source in SOURCES)}")
    return tuple(source for source in SOURCES if not names or source.name in names)


def fetch_logs(
    cluster: str, begin: str, where: str, *, end: str | None = None, node: str = "", only: Sequence[str] = (),
    to: Connection | None = None, progress: Progress | None = None,
) -> Fetched:  # fmt: skip
    """Fetch a cluster's logs to a folder or s3:// prefix; what is there and what is not.

    begin, end: ISO 8601; without an end now, or the end of the run before that is gone on with. node: an instance id or
    a node's name: the logs that can be narrowed to it are. A source that is denied is noted, and the others are
    fetched. UsageError for what cannot be meant, AccessError for credentials that are none or every source denied,
    StorageError for a destination that holds something else.
    """
    to, now = to or Connection(), datetime.now(UTC)
    sources, store = chosen_sources(only), store_of(where, to)
    before = store.record()
    window = Window.of(begin, end or (str(before["to"]) if before else text(now)), now)
    scope = Scope(cluster, window, to, node)
    if before is not None:
        _same(before, scope, where)
    assert scope.facts is not None  # a wrong name ends here, before anything is written
    assert scope.instance is not None
    result = Fetched(
        cluster, text(window.begin), text(window.end), node, scope.region, scope.account,
        sorted({source.name for source in sources} | set((before or {}).get("sources", ()))),
    )  # fmt: skip
    there = store.times()
    known = {str(each["name"]): each for each in (before or {}).get("files", ())}
    result.files = {
        name: File(name, text(time), known.get(name, {}).get("size"), known.get(name, {}).get("sha256"))
        for name, time in there.items() if name.endswith(".gz")
    }  # fmt: skip
    store.write_record(result.document())  # a run that is killed has said what it began
    try:
        for number, source in enumerate(sources):
            if progress is not None:
                progress(f"fetching {source.what}", number, len(sources))
            _fetch(source, scope, store, there, result)
        result.finished = text(datetime.now(UTC))
    finally:
        result.unread = list(dict.fromkeys(scope.unread))
        store.write_record(result.document())
    denied = {each.source for each in result.unread if each.denied}
    if denied >= {source.name for source in sources}:
        raise AccessError(f"nothing could be fetched: {result.unread[0].why}; --permissions prints what it needs")
    return result


def _fetch(source: Source, scope: Scope, store: Store, there: dict[str, datetime], result: Fetched) -> None:
    try:
        for piece in source.pieces(scope):
            if _settled(piece, there.get(piece.name)):
                result.kept += 1
                continue
            stored = store.put(piece.name, piece.blocks())
            now = text(datetime.now(UTC))
            result.files[piece.name] = File(piece.name, now, stored.size, stored.sha256)
            result.new += 1
            if result.new % _EVERY == 0:
                store.write_record(result.document())
    except StorageError as error:
        if _of_store(error, store):
            raise
        scope.unread.append(Unread(source.name, str(error)))
    except RemoteError as error:
        if cause_code(error) in EXPIRED:
            raise
        scope.unread.append(Unread(source.name, str(error), isinstance(error, AccessError)))


def _settled(piece: Piece, stored: datetime | None) -> bool:
    return stored is not None and (piece.ends is None or stored >= piece.ends + LATE)


def _of_store(error: StorageError, store: Store) -> bool:
    """Whether it is the destination that fails, so that nothing more can be kept."""
    return str(error).startswith(store.where)


def _same(before: dict[str, Any], scope: Scope, where: str) -> None:
    """A place has the logs of one cluster and one time: pieces of two would have the same events twice."""
    asked = {
        "--cluster-name": (before.get("cluster"), scope.cluster),
        "--from": (before.get("from"), text(scope.window.begin)),
        "--to": (before.get("to"), text(scope.window.end)), "--node": (before.get("node"), scope.node),
    }  # fmt: skip
    for option, (old, new) in asked.items():
        if old != new:
            raise UsageError(
                f"{where} has the logs of {option} {old or 'not given'}, and this is {new or 'not given'}: give "
                "another place with -o, or the same options to go on"
            )
