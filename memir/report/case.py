"""A case on disk: `case.json`, `tables/*.parquet`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memir import __version__
from memir.errors import CaseError
from memir.gaps import Gap
from memir.tables.frame import Frame, plain, write_parquet

CASE_FILE = "case.json"
TABLES_FOLDER = "tables"


class Case:
    """A case folder that is being written. Made before long work, so that a folder that cannot be used fails early."""

    def __init__(self, folder: Path, *, force: bool = False, add: bool = False) -> None:
        """force: replace what an earlier analysis wrote. add: keep it and add tables (a hunt in an analysed case).

        Raises CaseError if the folder is something else's, or cannot be written.
        """
        self.folder = folder
        self.record: dict[str, Any] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            content = {entry.name for entry in folder.iterdir()}
            if CASE_FILE in content:
                if add:
                    self.record = read_case(folder)
                elif not force:
                    raise CaseError(
                        f"{folder} already holds a case: give another folder, or --force to replace its tables"
                    )
            elif content:
                raise CaseError(f"{folder} is not empty and not a case of memir's: give another folder")
            (folder / TABLES_FOLDER).mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"memir")
        except OSError as error:
            raise CaseError(f"{folder}: cannot be written: {error.strerror or error}") from error

    def write_tables(self, tables: Mapping[str, Frame]) -> dict[str, int]:
        """Write tables as Parquet; gives the number of rows of each."""
        for name, frame in tables.items():
            write_parquet(frame, self.folder / TABLES_FOLDER / f"{name}.parquet")
        return {name: len(frame) for name, frame in tables.items()}

    def write_plain(self, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
        """Write tables whose columns are a plugin's own; Arrow finds their types, mixed columns become text."""
        for name, rows in tables.items():
            write_parquet(plain(rows), self.folder / TABLES_FOLDER / f"{name}.parquet")

    def finish(self, record: Mapping[str, Any], gaps: Iterable[Gap], counts: Mapping[str, int]) -> dict[str, Any]:
        """Write case.json last: a folder without it holds an analysis that did not end. Returns what was written."""
        fresh = [{"kind": gap.kind, "where": gap.where, "why": gap.why, "count": gap.count} for gap in gaps]
        self.record = {
            **self.record,
            **record,
            "memir": __version__,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "tables": {**self.record.get("tables", {}), **counts},
            "gaps": self.record.get("gaps", []) + fresh,
        }
        path = self.folder / CASE_FILE
        try:
            descriptor, name = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(self.record, file, indent=2, ensure_ascii=False, default=str)
                file.write("\n")
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except OSError as error:
            raise CaseError(f"{path}: cannot be written: {error.strerror or error}") from error
        return self.record


def read_case(folder: Path) -> dict[str, Any]:
    """case.json of a case; CaseError if the folder is none."""
    path = folder / CASE_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CaseError(f"{folder} is not a case: it has no {CASE_FILE}") from error
    except (OSError, ValueError) as error:
        raise CaseError(f"{path}: cannot be read: {error}") from error
    if not isinstance(record, dict):
        raise CaseError(f"{path}: not a case")
    return record
