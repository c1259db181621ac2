# SPDX-License-Identifier: Apache-2.0
"""Files of a case folder."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from memir.case.store import (
    keep_other_runs,
    leave,
    locked,
    merged_values,
    of_run,
    prepare,
    read_table,
    sealed_findings,
    secret_key,
    table_files,
    table_path,
    write_findings,
    write_json,
    write_table,
    write_tables,
)
from memir.errors import CaseError


def test_folders(tmp_path: Path) -> None:
    assert prepare(tmp_path / "new" / "case") is False
    assert stat.S_IMODE((tmp_path / "new" / "case").stat().st_mode) == 0o700
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(CaseError, match="is not empty and not a case of memir's: give another folder"):
        prepare(tmp_path / "mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(CaseError, match="cannot be written: "):
        prepare(tmp_path / "file" / "case")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CaseError, match="file is a file, not a folder: give a folder, or the name of a new one"):
        prepare(tmp_path / "file")


def test_leave(tmp_path: Path) -> None:
    """A folder with nothing but a key goes, one with anything else stays whole."""
    for name in ("none", "some"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secrets.key").write_bytes(b"k")
    (tmp_path / "some" / "notes.txt").write_text("")
    leave(tmp_path / "none")
    leave(tmp_path / "some")
    leave(tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["some"]
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["notes.txt", "secrets.key"]


def test_an_analysis_that_did_not_end_does_not_block_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    write_table_at(folder, "pods")
    (folder / "tables" / "hits.parquet.part").write_bytes(b"")
    assert prepare(folder) is False and list(folder.iterdir()) == []
    write_table_at(folder, "pods")
    (folder / "tables" / "notes.txt").write_text("mine")
    with pytest.raises(CaseError, match="not a case of memir's"):
        prepare(folder)


def write_table_at(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = table_path(folder, name)
    write_table(pa.table({"a": [1, 2]}), path)
    return path


def test_tables(tmp_path: Path) -> None:
    path = write_table_at(tmp_path, "pods")
    private = write_table_at(tmp_path, "secret_values")
    assert (stat.S_IMODE(private.stat().st_mode), path.stat().st_mode & 0o400) == (0o600, 0o400)
    assert read_table(path)["a"].to_pylist() == [1, 2]
    assert table_files(tmp_path) == {"pods": path, "secret_values": private}
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(CaseError, match=r"pods.parquet: cannot be read"):
        read_table(path)
    path.unlink()
    path.symlink_to(private)
    with pytest.raises(CaseError, match=r"pods.parquet: not a regular file"):
        table_files(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CaseError, match=r"cannot be written"):
        write_table(pa.table({}), tmp_path / "file" / "x.parquet")


def test_tables_at_once(tmp_path: Path) -> None:
    tables = {f"t{number}": pa.table({"a": [number]}) for number in range(9)}
    write_tables(tables, tmp_path)
    assert {name: read_table(path)["a"].to_pylist() for name, path in table_files(tmp_path).items()} == {
        f"t{number}": [number] for number in range(9)
    }
    table_path(tmp_path, "t4").unlink()
    table_path(tmp_path, "t4").mkdir()
    with pytest.raises(CaseError, match=r"t4.parquet: cannot be written"):
        write_tables(tables, tmp_path)


def test_rows_by_run() -> None:
    fresh = of_run(pa.table({"rule": ["C"], "run": pa.nulls(1, pa.string())}), "2")
    assert fresh.to_pylist() == [{"rule": "C", "run": "2"}]
    old = pa.table({"rule": ["A", "B", "O"], "run": ["1", "2", None]})
    assert keep_other_runs(old, fresh, "2").to_pylist() == [
        {"rule": "A", "run": "1"}, {"rule": "O", "run": None}, {"rule": "C", "run": "2"},
    ]  # fmt: skip
    before = pa.table({"rule": ["A"], "gone": [1]})  # 0.1.0 had no runs
    assert keep_other_runs(before, fresh, "2").to_pylist() == [{"rule": "A", "run": None}, {"rule": "C", "run": "2"}]
    with pytest.raises(CaseError, match="do not fit today's columns"):
        keep_other_runs(pa.table({"rule": [[1]]}), fresh, "2")
    plain = pa.table({"a": [1]})
    assert of_run(plain, "2") is plain


def test_json(tmp_path: Path) -> None:
    write_json({"name": "\ud800\u202e", "n": 1}, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    assert text.isascii() and json.loads(text) == {"name": "\ud800\u202e", "n": 1}
    assert os.listdir(tmp_path) == ["a.json"]  # noqa: PTH208  (names only)
    with pytest.raises(CaseError, match="cannot be written"):
        write_json({}, tmp_path / "none" / "a.json")


def test_the_lock_is_held_by_one(tmp_path: Path) -> None:
    order = []

    def other() -> None:
        with locked(tmp_path):
            order.append("other")

    thread = threading.Thread(target=other)
    with locked(tmp_path):
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "other"]
    with pytest.raises(CaseError, match="cannot be opened"), locked(tmp_path / "none"):
        pass


def test_the_key_of_fingerprints(tmp_path: Path) -> None:
    key = secret_key(tmp_path)
    path = tmp_path / "secrets.key"
    assert (len(key), secret_key(tmp_path), stat.S_IMODE(path.stat().st_mode)) == (32, key, 0o600)
    assert prepare(tmp_path) is False and path.exists()  # an analysis that failed leaves its key, which does not block
    path.chmod(0o640)
    with pytest.raises(CaseError, match="others can read it: chmod 600"):
        secret_key(tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(CaseError, match="not a key of 32 bytes"):
        secret_key(tmp_path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CaseError, match="cannot be read"):
        secret_key(tmp_path)


def test_clear_values_gather(tmp_path: Path) -> None:
    path = tmp_path / "secret_values.parquet"
    write_table(merged_values(path, {"a": "1", "b": "\ud800"}), path)
    assert merged_values(path, {"b": "2", "c": "3"}).to_pylist() == [
        {"fingerprint": "a", "value": "1"}, {"fingerprint": "b", "value": "2"}, {"fingerprint": "c", "value": "3"},
    ]  # fmt: skip
    write_table(pa.table({"x": [1]}), path)
    with pytest.raises(CaseError, match="not a table that memir wrote"):
        merged_values(path, {})


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """A file that a full disk left would make the folder someone else's: the next try would be refused."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "case.json").mkdir()  # a rename to it fails as on a full disk: at the end
    with pytest.raises(CaseError, match="cannot be written"):
        write_json({"a": 1}, tmp_path / "case.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case.json", "tables"]


def test_findings_as_json(tmp_path: Path) -> None:
    assert sealed_findings(tmp_path) is None
    proof = [{"table": "processes", "key": "pid = 7"}]
    table = pa.table({"id": ["a"], "evidence": [proof], "first_seen": [datetime(2026, 1, 2, tzinfo=UTC)]})
    write_findings(table, tmp_path)
    path = tmp_path / "findings.json"
    assert json.loads(path.read_text()) == [
        {"id": "a", "evidence": proof, "first_seen": "2026-01-02T00:00:00+00:00"}
    ]  # fmt: skip
    assert sealed_findings(tmp_path) == hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CaseError, match="not a regular file"):
        sealed_findings(tmp_path)
