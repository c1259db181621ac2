# SPDX-License-Identifier: Apache-2.0
"""A case: open it to ask it, create it or go on with it to write.

case = Case.create(folder)                  # before long work: fails if the folder cannot be used
case.check(identity)                        # before long work: refuses another image
case.add_tables({"processes": table}, run, Facts(identity=identity))
Case(folder).sql("select pid, comm from processes")
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir import __version__
from memir.case import store
from memir.case.identity import difference
from memir.case.read_record import read_record
from memir.case.record import CASE_FILE, SCHEMA, CaseRecord, Facts, Run, updated
from memir.case.seal import Input, append, read_seal, sha256_file, sign
from memir.errors import CaseError
from memir.tables.frame import Frame

if TYPE_CHECKING:
    import pyarrow as pa
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from memir.case.query import Answer


class Case:
    """A case folder. `record` is case.json as it was read or last written; None where nothing was written yet."""

    def __init__(self, folder: str | Path) -> None:
        """Open a case. CaseError if the folder is none, or its case.json is malformed."""
        self.folder = Path(folder)
        self.record: CaseRecord | None = read_record(self.folder)
        self._replace = self._made = False

    @classmethod
    def open(cls, folder: str | Path) -> Case:
        """The same as Case(folder)."""
        return cls(folder)

    @classmethod
    def create(cls, folder: str | Path, *, force: bool = False, add: bool = False) -> Case:
        """A case to write to. Made before long work, so that a folder that cannot be used fails early.

        force: the next write replaces what an earlier analysis wrote. add: it adds to what is there. CaseError if the
        folder is something else's, cannot be written, or holds a case and neither was asked for.
        """
        case = cls.__new__(cls)
        case.folder, case.record, case._replace = Path(folder), None, force
        case._made = not Path(folder).exists()
        if not store.prepare(case.folder):
            return case
        if not force and not add:
            raise CaseError(f"{folder} already holds a case: give another folder, or --force to replace its tables")
        try:
            case.record = read_record(case.folder)
        except CaseError:
            if not force:
                raise
        return case

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Work for this case: where it fails before anything was written, a folder that create() made goes again."""
        try:
            yield
        except BaseException:
            if self._made and self.record is None:
                store.leave(self.folder)
            raise

    def check(self, facts: Facts) -> None:
        """Refuse another image than the case's. Called before long work, and again by every write.

        CaseError names both identities and what to do. A case of many images takes hunts through the same ones only.
        """
        old = self.record
        if old is None or self._replace:
            return
        step = (
            f"give another folder with -o, or put that image in the place of this one: "
            f"`memir analyze IMAGE -o {shlex.quote(str(self.folder))} --force`"
        )
        if old.identity is not None and facts.identity is not None:
            if not old.identity.same(facts.identity):
                raise CaseError(
                    f"{self.folder} is the case of another image: {difference(old.identity, facts.identity)}.\n"
                    f"the case:  {old.identity.words()}\nthe image: {facts.identity.words()}\n{step}"
                )
        elif old.identity is not None or facts.identity is not None or set(old.images) != set(facts.images):
            raise CaseError(
                f"{self.folder} is the case of other images.\nthe case:  {_whose(old.identity, old.images)}\n"
                f"the image: {_whose(facts.identity, facts.images)}\n{step}"
            )
        for image, theirs in facts.identities.items():
            mine = old.identities.get(image)
            if mine is not None and not mine.same(theirs):
                raise CaseError(
                    f"{self.folder} is the case of another image than {image} is now: {difference(mine, theirs)}.\n"
                    f"the case:  {mine.words()}\nthe image: {theirs.words()}\n"
                    f"give another folder with -o: the hits of two images in one place cannot be told apart"
                )

    def add_tables(
        self,
        tables: Mapping[str, pa.Table | Frame],
        run: Run,
        facts: Facts,
        *,
        inputs: Sequence[Input] = (),
        secrets: Mapping[str, str] | None = None,
        key: Ed25519PrivateKey | None = None,
    ) -> CaseRecord:
        """Write a run's tables, then case.json, then the seal's entry (signed, if a key is given).

        A table with a column `run` keeps the rows of other runs and replaces those of the same; any other is replaced
        whole. secrets: clear values by fingerprint, kept apart in secret_values. CaseError if it is another image's, or
        the folder cannot be written.
        """
        with store.locked(self.folder):
            if (self.folder / CASE_FILE).exists() and not self._replace:
                self.record = read_record(self.folder)  # another hunt may have ended since
            self.check(facts)
            seal = read_seal(self.folder)
            if seal.problem and seal.entries:
                raise CaseError(f"{self.folder}: {seal.problem}: what is added to a broken seal proves nothing")
            replaced = self._start_anew(facts) if self._replace else None
            arrow = {name: table.to_arrow() if isinstance(table, Frame) else table for name, table in tables.items()}
            fresh = {name: store.of_run(table, run.run) for name, table in arrow.items()}
            rows = {name: table.num_rows for name, table in fresh.items()}
            fresh = {name: self._with_other_runs(name, table, run.run) for name, table in fresh.items()}
            if secrets:
                values = store.table_path(self.folder, "secret_values")
                store.write_table(store.merged_values(values, secrets), values)
            store.write_tables(fresh, self.folder)
            totals = {name: table.num_rows for name, table in fresh.items()}
            self.record = updated(self.record, replace(run, tables=rows), facts, totals)
            store.write_json(self.record.to_json(), self.folder / CASE_FILE)
            if "findings" in fresh:
                store.write_findings(fresh["findings"], self.folder)
            seal = append(
                self.folder,
                seal,
                {
                    "event": run.command,
                    "memir": __version__,
                    "run": run.run,
                    "case": sha256_file(self.folder / CASE_FILE),
                    "tables": {name: sha256_file(path) for name, path in store.table_files(self.folder).items()},
                    "written": sorted(fresh),
                    "inputs": list(inputs),
                    "replaced": replaced,
                    "findings": store.sealed_findings(self.folder),
                },
            )
            if key is not None:
                sign(self.folder, seal, key)
        self._replace = False
        return self.record

    def secret_key(self) -> bytes:
        """Key of the fingerprints of what people choose (passwords): the case's own, made where there is none."""
        return store.secret_key(self.folder)

    def sql(self, sql: str, *, reveal: bool = False) -> Answer:
        """Ask the case's tables in SQL; see memir.case.query."""
        from memir.case.query import query

        return query(self.folder, sql, reveal=reveal)

    def timeline(self, *, logs: Sequence[str | Path] = (), **limits: Any) -> Answer:
        """Events of the case in the order of time; limits: pod, kinds, begin, end of memir.case.timeline.timeline.

        logs: files and folders of logs, which are read beside the case. LogsError if one is not there or none.
        """
        from memir.case.timeline import timeline

        return timeline(self.folder, logs=self._tables_of(logs), **limits)

    def findings(self, *, logs: Sequence[str | Path] = ()) -> pa.Table:
        """The findings of the case, the worst first; with logs those over the case's tables and the logs'.

        CaseError if the case has none, LogsError if a log is not there or none.
        """
        import importlib

        if not logs:
            return self["findings"]
        over: Any = importlib.import_module("memir.case.logs")
        answer: pa.Table = over.findings_with(self, over.read_logs(self, logs)).to_arrow()
        return answer

    def _tables_of(self, logs: Sequence[str | Path]) -> dict[str, Any]:
        import importlib

        over: Any = importlib.import_module("memir.case.logs")  # which knows cases itself
        return dict(over.tables_of(over.read_logs(self, logs))) if logs else {}

    def listing(self) -> Answer:
        """The case's tables: name and number of rows, as case.json has it."""
        from memir.case.query import GAPS, Answer

        counts = self.record.tables if self.record is not None else {}
        rows = [(name, counts.get(name)) for name in self.tables]
        return Answer(("table", "rows"), [*rows, (GAPS, len(self.record.gaps) if self.record is not None else 0)])

    def schema(self, table: str) -> Answer:
        """A table's columns: name, type, and what it means."""
        from memir.case.query import Answer

        fields = self[table].schema
        docs = [(field.metadata or {}).get(b"doc", b"").decode("utf-8", "replace") or None for field in fields]
        rows = [(field.name, str(field.type), doc) for field, doc in zip(fields, docs, strict=True)]
        return Answer(("column", "type", "meaning"), rows)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that the case holds, those that only --reveal attaches left out."""
        return tuple(name for name in store.table_files(self.folder) if name not in store.PRIVATE)

    def __getitem__(self, name: str) -> pa.Table:
        """One table as Arrow. CaseError if the case has none of this name, or it is damaged."""
        if name == "gaps":
            from memir.case.partial import gap_table

            return gap_table(self.record)
        if name not in self.tables:
            raise CaseError(f"{self.folder} has no table {name}; it has {', '.join(self.tables)}")
        return store.read_table(store.table_path(self.folder, name))

    def __repr__(self) -> str:
        return f"Case({str(self.folder)!r})"

    def _with_other_runs(self, name: str, table: pa.Table, run: str) -> pa.Table:
        path = store.table_path(self.folder, name)
        if "run" not in table.column_names or not path.exists():
            return table
        return store.keep_other_runs(store.read_table(path), table, run)

    def _start_anew(self, facts: Facts) -> str | None:
        """Take away what an analysis replaces; hunts of the same image stay. What went, in words."""
        old, self._replace = self.record, False
        hunts: tuple[Run, ...] = ()
        if old is not None and old.identity and facts.identity and old.identity.same(facts.identity):
            hunts = tuple(run for run in old.runs if run.hunt is not None)
        keep = {name for run in hunts for name in run.tables}
        for name, path in store.table_files(self.folder).items():
            if name not in keep:
                path.unlink()
        (self.folder / store.FINDINGS_FILE).unlink(missing_ok=True)
        if old is None:
            self.record = None
            return None
        kept_rows = {name: rows for name, rows in old.tables.items() if name in keep}
        empty = CaseRecord(SCHEMA, old.memir, old.written, old.identity, runs=hunts, tables=kept_rows)
        self.record = empty if hunts else None
        return f"{len(old.tables)} tables of {_whose(old.identity, old.images)}" + (
            f"; hunts kept: {len(hunts)}" if hunts else ""
        )


def _whose(identity: Any, images: Sequence[str]) -> str:
    if identity is not None:
        return str(identity.words())
    if not images:
        return "its image is not recorded"
    shown = ", ".join(images[:3]) + (f" and {len(images) - 3} more" if len(images) > 3 else "")
    return f"{len(images)} image{'' if len(images) == 1 else 's'}: {shown}"
