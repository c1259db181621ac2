# SPDX-License-Identifier: Apache-2.0
"""A ForensicSnapshotChain as the operator writes it, and everything that may be wrong with one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from memir.cli.main import app
from memir.errors import CustodyError
from memir.evidence import snapshot_chain
from memir.evidence.snapshot_chain import is_chain, verify_chain

ARCHIVES = {"checkpoint-a.tar": b"one", "checkpoint-b.tar": b"two", "checkpoint-c.tar": b"three"}


def chain(folder: Path) -> dict[str, Any]:
    """An object of three records, and their archives."""
    records, previous = [], ""
    for index, (name, data) in enumerate(ARCHIVES.items()):
        (folder / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        records.append({
            "index": index, "podName": "web-7d9f", "containerName": "web", "snapshotTime": "2026-11-29T13:14:13Z",
            "checkpointPath": f"/var/lib/kubelet/checkpoints/{name}", "sha256Hash": digest,
            **({"previousSHA256Hash": previous} if previous else {}),
        })  # fmt: skip
        previous = digest
    return {
        "apiVersion": "criu.org/v1", "kind": "ForensicSnapshotChain", "metadata": {"name": "night"},
        "spec": {"namespace": "shop", "integrity": {"hashAlgorithm": "sha256"}},
        "status": {"phase": "Completed", "snapshotChainRecords": records},
    }  # fmt: skip


def write(folder: Path, document: Any) -> Path:
    path = folder / "chain.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_chain_that_holds(tmp_path: Path) -> None:
    path = write(tmp_path, chain(tmp_path))
    steps: list[tuple[str, int, int]] = []
    result = verify_chain(path, lambda *step: steps.append(step))
    assert (result.name, result.records, result.archives, result.problems, result.missing) == ("night", 3, 3, [], [])
    assert (result.holds, result.exit_code) == (True, 5)
    assert steps[-1] == ("hashing", 5, 5)
    told = CliRunner().invoke(app, ["verify", str(path)])
    assert told.exit_code == 5
    assert "chain night: 3 records, 3 archives hashed" in told.output
    assert "holds, unsigned" in told.output
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps({"kind": "List", "items": [chain(tmp_path)]}))
    document = json.loads(CliRunner().invoke(app, ["verify", str(listed), "--json"]).stdout)
    assert (document["holds"], document["archives"]) == (True, 3)


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (
            lambda folder, records: (folder / "checkpoint-b.tar").write_bytes(b"twO"),
            3,
            "record 1: checkpoint-b.tar has",
        ),
        (lambda folder, records: records.pop(1), 3, "record 1: its index is 2: a record lacks"),
        (lambda folder, records: records[2].update(previousSHA256Hash="0" * 64), 3, "record 2: names 000000"),
        (lambda folder, records: records[0].update(previousSHA256Hash="1" * 64), 3, "which is none"),
        (lambda folder, records: records[1].update(sha256Hash="xyz"), 3, "record 1: sha256Hash is no SHA-256"),
        (lambda folder, records: records.__setitem__(1, 7), 3, "record 1: no object"),
        (lambda folder, records: (folder / "checkpoint-c.tar").unlink(), 4, "record 2: checkpoint-c.tar is not in"),
        (lambda folder, records: records[2].pop("sha256Hash"), 4, "record 2: no hash"),
        (lambda folder, records: records[2].update(checkpointPath="../../etc/passwd"), 4, "record 2: passwd is not in"),
    ],
)
def test_what_does_not_hold_or_lacks(tmp_path: Path, change: Any, code: int, told: str) -> None:
    document = chain(tmp_path)
    change(tmp_path, document["status"]["snapshotChainRecords"])
    result = verify_chain(write(tmp_path, document))
    assert result.exit_code == code
    assert any(line.startswith(told) or told in line for line in (*result.problems, *result.missing))


def test_a_record_without_a_hash_is_stepped_over(tmp_path: Path) -> None:
    document = chain(tmp_path)
    records = document["status"]["snapshotChainRecords"]
    records[1].pop("sha256Hash")
    records[1].pop("previousSHA256Hash")
    records[2]["previousSHA256Hash"] = records[0]["sha256Hash"]
    result = verify_chain(write(tmp_path, document))
    assert (result.problems, result.exit_code) == ([], 4)


def test_another_algorithm_and_too_many_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = chain(tmp_path)
    document["spec"]["integrity"]["hashAlgorithm"] = "md5"
    monkeypatch.setattr(snapshot_chain, "MOST", 2)
    result = verify_chain(write(tmp_path, document))
    assert result.problems == ["spec.integrity.hashAlgorithm is md5: only sha256 can be checked"]
    assert result.missing == ["1 records behind the first 2: not read"]


@pytest.mark.parametrize(
    ("text", "why"),
    [("kind: Pod", "not one ForensicSnapshotChain"), ("a: [", "neither YAML nor JSON"), ("[1]", "not one"),
     ("kind: ForensicSnapshotChain", "no status.snapshotChainRecords"), ("a: !!python/object:os.system {}", "neither")],
)  # fmt: skip
def test_what_is_no_chain(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(CustodyError, match=why):
        verify_chain(path)


def test_is_chain(tmp_path: Path) -> None:
    assert is_chain(write(tmp_path, chain(tmp_path)))
    assert not is_chain(tmp_path / "checkpoint-a.tar")
    assert not is_chain(tmp_path / "absent.yaml")
    with pytest.raises(CustodyError, match="cannot be read"):
        verify_chain(tmp_path / "absent.yaml")
