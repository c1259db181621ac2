# SPDX-License-Identifier: Apache-2.0
"""A node as the RAM in an image has it; what the commands do with an image, in a line each.

node = memir.open("node.avml", cluster="pods.json")
node["pods"]                                    # a table, read when first asked for
node.sql("select pid, comm from processes")     # over the tables that the SQL names
node.hunt("rules/")                             # YARA; every hit with its owner
node.save("CASE")                               # what `memir analyze` writes
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from memir.errors import UsageError
from memir.gaps import Gaps
from memir.hits import Hits, Hunted
from memir.view import View

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.case.case import Case
    from memir.case.identity import Identity
    from memir.case.record import CaseRecord, Facts
    from memir.findings.look import ImageFacts
    from memir.hunt.hunt import Hunt, Options
    from memir.hunt.rules import RuleSet
    from memir.image.memory import PhysicalMemory
    from memir.kernel.ram import Coverage
    from memir.kernel.smear import Smear
    from memir.kube.ram import RamSource
    from memir.logs.source import LogSource
    from memir.logs.stream import LogPath
    from memir.symbols.anchors import Anchors

FINDINGS, INDICATORS = "findings", "indicators"
Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, of how much (0: not known): bytes, or tables."""


class Node(ABC):
    """A node: tables that are read when first asked for, SQL over them, hunts, and the case that keeps it all.

    memir.open gives it: a node of RAM (memir/ram_node.py), or a part of a node (memir/part_node.py).
    """

    source: RamSource
    """What tables are read from."""
    cluster: str | None = None
    """Where the API's view came from."""

    def _setup(self, progress: Progress | None, logs: Sequence[LogPath]) -> None:
        self._progress = progress
        self._read: dict[str, View] = {}
        self.hunted: list[Hunted] = []
        self._begun = time.monotonic()
        self._closing = ExitStack()
        self._left_out: frozenset[str] = frozenset()
        self.logs = self._opened(logs) if logs else None

    def _opened(self, logs: Sequence[LogPath]) -> LogSource:
        from memir.logs.source import LogSource

        def ram(name: str) -> pa.Table | None:
            return self[name].to_arrow() if name in self._of_ram else None

        return LogSource(
            logs, ram, secrets=lambda: self.source.secrets, gaps=self.source.gaps, progress=self._progress,
            clock=lambda: self.identity.clock,
        )  # fmt: skip

    def leave_out(self, table: str, why: str) -> None:
        """Do not read a table of RAM, for whatever asks for it: it is absent, and a gap says why."""
        self._left_out |= {table}
        self.gaps.add("table", table, why)

    def at_close(self, action: Callable[[], None]) -> None:
        """Do this when the node is closed."""
        self._closing.callback(action)

    @property
    @abstractmethod
    def memory(self) -> PhysicalMemory:
        """The memory that is hunted through."""

    @property
    def anchors(self) -> Anchors:
        """Addresses, types and release of its kernel. UsageError where it has none."""
        return self.source.kernel.anchors

    @property
    @abstractmethod
    def coverage(self) -> Coverage:
        """How much of the memory is there."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """Which image, archive or folder this is."""

    @abstractmethod
    def facts(self, sha256: str | None = None) -> Facts:
        """What a case records of it. sha256: of the file, where it was hashed."""

    @abstractmethod
    def smear(self) -> Smear | None:
        """Over how long it was read; None where it was not running meanwhile."""

    @abstractmethod
    def _image_facts(self) -> ImageFacts:
        """What detections ask of it as a whole."""

    @abstractmethod
    def _scan(self, rules: RuleSet, options: Options) -> Hunt:
        """Scan all that `options` asks for."""

    @property
    def name(self) -> str | None:
        """The node's name; None if it is not known."""
        return self.source.name

    @property
    def gaps(self) -> Gaps:
        """What could not be read so far, counted; tables that were not asked for add none."""
        return self.source.gaps

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that RAM and the logs give, and `findings`, which they give together."""
        return (*self._of_ram, *(self.logs.tables if self.logs is not None else ()), FINDINGS)

    @property
    def default_tables(self) -> tuple[str, ...]:
        """Those of them that are read without being named: not those that cost more than an analysis should."""
        from memir.tables.table import tables

        return tuple(name for name in self.tables if not tables()[name].on_request)

    @property
    def _of_ram(self) -> tuple[str, ...]:
        from memir.tables.table import tables

        readable = (name for name, table in tables().items() if self.source.kind in table.readers)
        return tuple(name for name in readable if name not in self._left_out)

    def __getitem__(self, name: str) -> View:
        """A table, read when it is first asked for. UsageError for one that there is not."""
        from memir.tables.table import tables

        if name not in self._read:
            if name == FINDINGS:
                return self.find()
            if name in self._of_ram:
                self._read[name] = View(name, tables()[name].read(self.source).to_arrow())
            elif self.logs is not None and name in self.logs.tables:
                self._read[name] = View(name, self.logs.table(name))
            elif name in self._left_out:
                raise UsageError(f"the table {name} was left out as asked: open the node anew with it")
            else:
                raise UsageError(f"there is no table {name}; a node has {', '.join(self.tables)}")
        return self._read[name]

    def sql(self, sql: str) -> View:
        """Ask the tables in SQL (DuckDB). Only those that the SQL names are read; nothing else can be reached.

        UsageError if the SQL is wrong.
        """
        from memir.tables.sql import ask, named

        return View("query", ask({name: self[name].to_arrow() for name in named(sql, self.tables)}, sql, self.tables))

    @property
    def findings(self) -> View:
        """What the tables say together, the worst first: each claim with its proof and its doubt."""
        return self[FINDINGS]

    def find(self, names: Iterable[str] | None = None) -> View:
        """The findings over these tables (None: default_tables) and over the hits of hunts; node.findings then."""
        from memir.findings.detect import detect
        from memir.hunt.hits import TABLE as HITS

        known = [name for name in (self.default_tables if names is None else names) if name != FINDINGS]
        known += [INDICATORS] if INDICATORS in self._read and INDICATORS not in known else []
        tables = {name: self[name].to_arrow() for name in known}
        if self.hunted:
            tables["hits"] = HITS.rows(row for hunted in self.hunted for row in hunted.result.masked).to_arrow()
        self._read[FINDINGS] = View(FINDINGS, detect(tables, self._image_facts()).to_arrow())
        return self._read[FINDINGS]

    def use_indicators(self, path: str | Path) -> View:
        """Read known indicators (a list, CSV or STIX 2.1 JSON): findings compare with them; UsageError."""
        from memir.findings.indicators import TABLE, read_indicators

        known = read_indicators(Path(path))
        for place, why in known.odd:
            self.gaps.add("indicator", place, why.partition(":")[0])
        self._read.pop(FINDINGS, None)
        self._read[INDICATORS] = View(INDICATORS, TABLE.rows(known.rows).to_arrow())
        return self._read[INDICATORS]

    def hunt(
        self,
        rules: str | Path | Sequence[str | Path] | RuleSet | None = None,
        *,
        pod: Iterable[str] | str = (),
        namespace: Iterable[str] | str = (),
        container: Iterable[str] | str = (),
        pid: Iterable[int] | int = (),
        kinds: str | None = None,
        scope: Literal["region", "process"] = "region",
        timeout: int = 60,
        externals: Mapping[str, bool | float | str] | None = None,
        workers: int | None = None,
        show_secrets: bool = False,
    ) -> Hits:
        """Scan RAM with YARA rules; a row for each hit and owner. save() keeps the hits of every hunt.

        rules: files or folders, or rules that are compiled already; None: those that come with memir. pod (a name,
        `namespace/name` or UID), namespace, container, pid: only their memory. kinds: of
        process,files,kernel,free,unknown. timeout: seconds for one unit. RulesError if rules do not compile, UsageError
        if nothing in the image is what was asked for.
        """
        from memir.hunt.rules import RuleSet
        from memir.hunt_options import compile_rules, hunt_options

        compiled = rules if isinstance(rules, RuleSet) else compile_rules(rules, externals)
        options = hunt_options(
            kinds=kinds, scope=scope, timeout=timeout, workers=workers, show_secrets=show_secrets,
            pod=pod, namespace=namespace, container=container, pid=pid,
        )  # fmt: skip
        return self._hunt(compiled, options)

    def _hunt(self, rules: RuleSet, options: Options) -> Hits:
        from memir.node_hunt import hunt

        table, hunted = hunt(self, lambda: self._scan(rules, options), rules, options)
        self._read.pop(FINDINGS, None)  # it may say more now
        self.hunted.append(hunted)
        return Hits(table, hunted.run, hunted.facts, hunted.seconds, hunted.result.stopped)

    def save(
        self,
        case: str | Path | Case | None,
        *,
        force: bool = False,
        tables: Iterable[str] | None = None,
        extra: Mapping[str, pa.Table] | None = None,
        sha256: bool = False,
        sign_key: Any = None,
    ) -> Any:
        """Write tables and hunts into a case folder, and seal it. Gives the case.

        case: a folder, or a Case that was created before (so that a folder that cannot be used fails before long work).
        force: replace what an earlier analysis wrote. tables: names, default_tables if None. extra: plugins' tables.
        sha256: record the hash of the image file. sign_key: an Ed25519 private key that signs the seal. CaseError if
        the folder is another image's case, something else's, or cannot be written.
        """
        from memir.case.case import Case

        target = case if isinstance(case, Case) else Case.create(Path(case or ""), force=force)
        self.write(target, tables=tables, extra=extra, sha256=sha256, sign_key=sign_key)
        return target

    def write(
        self,
        case: Case | None,
        *,
        tables: Iterable[str] | None = None,
        extra: Mapping[str, pa.Table] | None = None,
        sha256: bool = False,
        sign_key: Any = None,
        hunts_only: bool = False,
    ) -> CaseRecord:
        """What save() does, given the record; without a case the record is made, and nothing is written."""
        from memir.node_case import write

        return write(
            self, case, tables=tables, extra=extra, sha256=sha256, sign_key=sign_key, hunts_only=hunts_only,
            begun=self._begun, progress=self._progress,
        )  # fmt: skip

    def check(self, case: Case) -> None:
        """Refuse a case of another image, before long work. CaseError says both identities."""
        case.check(self.facts())
        self.use_key(case.secret_key())

    def use_key(self, key: bytes) -> None:
        """Fingerprint passwords with a case's own key; what was read with another one is read again."""
        if self.source.secret_key != key:
            self.source.secret_key = key
            vars(self.source).pop("secrets", None)
            self._read.clear()

    def close(self) -> None:
        """Close what it is read from."""
        self._closing.close()

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
