# SPDX-License-Identifier: Apache-2.0
"""Files of a case folder: who may use the folder, tables as Parquet, and writing that is whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.case.export import json_rows
from memir.case.record import CASE_FILE
from memir.case.seal import sha256_file
from memir.errors import CaseError
from memir.kube.secrets import KEY_SIZE

if TYPE_CHECKING:
    import pyarrow as pa

TABLES_FOLDER = "tables"
PRIVATE = frozenset({"secret_values"})
"""Tables that only the owner may read, and only --reveal attaches."""
KEY_FILE = "secrets.key"
"""Key of the fingerprints of what people choose: mode 600, in no record and no export."""
FINDINGS_FILE = "findings.json"
"""The rows of the table findings as JSON, for programs without Parquet."""
_PART = ".part"


def prepare(folder: Path) -> bool:
    """Make a folder ready for a case; whether it holds one already.

    What an analysis left that did not end (tables/ without case.json) is taken away. CaseError if the folder is someone
    else's, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = {entry.name for entry in folder.iterdir()}
        if CASE_FILE not in names and names - {KEY_FILE}:
            if not _unfinished(folder, names - {KEY_FILE}):
                raise CaseError(f"{folder} is not empty and not a case of memir's: give another folder")
            for path in (folder / TABLES_FOLDER).iterdir():
                path.unlink()
            (folder / TABLES_FOLDER).rmdir()
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"memir")
    except FileExistsError as error:
        raise CaseError(f"{folder} is a file, not a folder: give a folder, or the name of a new one") from error
    except OSError as error:
        raise CaseError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return CASE_FILE in names


def leave(folder: Path) -> None:
    """Take away a folder in which no case came to be: one that has nothing but the key of a case's fingerprints."""
    with contextlib.suppress(OSError):  # what else lies there stays, and so does the folder
        if {entry.name for entry in folder.iterdir()} <= {KEY_FILE}:
            (folder / KEY_FILE).unlink(missing_ok=True)
            folder.rmdir()


def _unfinished(folder: Path, names: set[str]) -> bool:
    inside = folder / TABLES_FOLDER
    return (
        names == {TABLES_FOLDER}
        and inside.is_dir()
        and not inside.is_symlink()
        and all(path.name.removesuffix(_PART).endswith(".parquet") for path in inside.iterdir())
    )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder: two hunts that end at once write one after the other."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise CaseError(f"{folder}: cannot be opened: {error.strerror or error}") from error
    try:
        with contextlib.suppress(OSError):  # a file system without locks (some of NFS) still takes a case
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def secret_key(folder: Path) -> bytes:
    """The case's own key of fingerprints, 32 random bytes; made with mode 600 where there is none.

    CaseError if it cannot be read, is not such a key, or others can read it.
    """
    path = folder / KEY_FILE
    try:
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(os.urandom(KEY_SIZE))
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            mode, key = os.fstat(file.fileno()).st_mode, file.read(KEY_SIZE + 1)
    except OSError as error:
        raise CaseError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(mode) or len(key) != KEY_SIZE:
        raise CaseError(f"{path}: not a key of {KEY_SIZE} bytes: fingerprints would not compare with those in the case")
    if mode & 0o077:
        raise CaseError(f"{path}: others can read it: chmod 600 {path}")
    return key


def merged_values(path: Path, values: Mapping[str, str]) -> pa.Table:
    """The table secret_values: those of the file, if it is there, and these. values: clear text by fingerprint."""
    import pyarrow as pa

    known: dict[str, str] = {}
    if path.exists():
        old = read_table(path)
        if old.column_names != ["fingerprint", "value"]:
            raise CaseError(f"{path}: not a table that memir wrote")
        known = {row["fingerprint"]: row["value"] for row in old.to_pylist()}
    known |= {name: value.encode("utf-8", "backslashreplace").decode() for name, value in values.items()}
    return pa.table({"fingerprint": pa.array(known, pa.string()), "value": pa.array(known.values(), pa.string())})


def table_path(folder: Path, name: str) -> Path:
    """Where a table lies."""
    return folder / TABLES_FOLDER / f"{name}.parquet"


def table_files(folder: Path) -> dict[str, Path]:
    """The tables of a case by name. CaseError for one that is no regular file: a planted link leads elsewhere."""
    files = {}
    for path in sorted((folder / TABLES_FOLDER).glob("*.parquet")):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise CaseError(f"{path}: not a regular file: memir writes none other, and does not follow it")
        files[path.stem] = path
    return files


def write_table(table: pa.Table, path: Path) -> None:
    """Write one table under a temporary name, then rename; CaseError if the folder cannot be written.

    The tables of PRIVATE get mode 600 before the first byte is in them.
    """
    import pyarrow.parquet as pq

    temporary = path.with_name(path.name + _PART)
    try:
        path.parent.mkdir(exist_ok=True)
        temporary.unlink(missing_ok=True)
        mode = 0o600 if path.stem in PRIVATE else 0o644
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            pq.write_table(table, file, compression="zstd")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise CaseError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_tables(tables: Mapping[str, pa.Table], folder: Path) -> None:
    """Write the tables of a case, several at once: Arrow packs without the interpreter. CaseError as write_table."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for _ in pool.map(lambda name: write_table(tables[name], table_path(folder, name)), tables):
            pass


def read_table(path: Path) -> pa.Table:
    """One table. CaseError if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise CaseError(f"{path}: cannot be read: {error}") from error


def keep_other_runs(old: pa.Table, fresh: pa.Table, run: str) -> pa.Table:
    """Rows of `old` that another run wrote, then those of `fresh`, with the columns of `fresh`.

    Rows of 0.1.0, which had no column `run`, are another run's. CaseError if the old columns are of other types.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if "run" in old.column_names:
        column: Any = old["run"]  # the stubs have no overload for a column that may be chunked
        old = old.filter(pc.or_kleene(pc.is_null(column), pc.not_equal(column, pa.scalar(run))))
    columns = [
        old[field.name] if field.name in old.column_names else pa.nulls(old.num_rows, field.type)
        for field in fresh.schema
    ]
    try:
        kept = pa.Table.from_arrays(
            [column.cast(field.type) for column, field in zip(columns, fresh.schema, strict=True)], schema=fresh.schema
        )
    except pa.ArrowException as error:
        raise CaseError(f"the case's rows do not fit today's columns: {error}: analyse into a new folder") from error
    return pa.concat_tables([kept, fresh])


def of_run(table: pa.Table, run: str) -> pa.Table:
    """The table with its column `run` filled, where it has one."""
    import pyarrow as pa

    if "run" not in table.column_names:
        return table
    index = table.column_names.index("run")
    return table.set_column(index, table.schema.field(index), pa.array([run] * table.num_rows, pa.string()))


def write_findings(table: pa.Table, folder: Path) -> None:
    """The rows of the table findings as a list of objects; CaseError if the folder cannot be written."""
    rows = [list(row.values()) for row in table.to_pylist()]
    write_json(list(json_rows(table.column_names, rows)), folder / FINDINGS_FILE)


def sealed_findings(folder: Path) -> str | None:
    """SHA-256 of findings.json, None where there is none. CaseError if it is no regular file."""
    path = folder / FINDINGS_FILE
    if not path.is_symlink() and not path.exists():
        return None
    if not stat.S_ISREG(path.lstat().st_mode):
        raise CaseError(f"{path}: not a regular file: memir writes none other, and does not follow it")
    return sha256_file(path)


def write_json(document: Any, path: Path) -> None:
    """Write a document under a temporary name, then rename; CaseError if the folder cannot be written."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                # what is not ASCII is escaped: names from an image may hold lone surrogates, which UTF-8 cannot
                json.dump(document, file, indent=2, ensure_ascii=True, allow_nan=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            # what a full disk left would make the folder someone else's for the next try
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CaseError(f"{path}: cannot be written: {error.strerror or error}") from error
