# SPDX-License-Identifier: Apache-2.0
"""receipt.json of a collected pod; an acquisition's is told apart; `verify` and the schema in the docs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from memir.documents import encode, schema
from memir.errors import CustodyError
from memir.evidence.collected import Collection
from memir.evidence.custody import Manifest
from memir.evidence.pod_receipt import PodReceipt, is_pod_receipt, parse_pod_receipt, pod_receipt_of
from memir.evidence.receipt import ReceiptNode
from memir.evidence.records import Begin, NodeRecord, VerdictRecord
from memir.evidence.verify import verify
from tests.evidence.test_collected import WHOLE

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
NODE = ReceiptNode("node-1", "6.1", "x86_64", "b")
RECEIPT = PodReceipt("pod", "0.1.0", "20261129-120000-0", "complete", (), (), "now", NODE, 0.0, WHOLE, (), (), schema=2)


def folder(path: Path, collection: Collection = WHOLE, receipt: PodReceipt = RECEIPT) -> Path:
    """Evidence of a collection, made as a run makes it."""
    path.mkdir(mode=0o700)
    manifest = Manifest(path)
    node = NodeRecord("node-1", "6.1", "x86_64", "b")
    manifest.add("begin", **encode(Begin(receipt.run, "0.1.0", "kim", "ssh", {}, node, schema=2)))
    for name in ("node/a", "clear/b"):
        (path / name).parent.mkdir()
        (path / name).write_bytes(b"x")
        manifest.add("file", name=name, size=1, sha256=hashlib.sha256(b"x").hexdigest(), stored={})
    manifest.add("collection", **encode(collection))
    manifest.add("verdict", **encode(VerdictRecord(receipt.status, receipt.missing)))
    (path / "receipt.json").write_bytes(receipt.write())
    manifest.add("end", receipt=hashlib.sha256(receipt.write()).hexdigest(), status=receipt.status)
    manifest.close()
    return path


def test_it_is_read_back_and_told_from_an_acquisitions(tmp_path: Path) -> None:
    assert parse_pod_receipt(RECEIPT.write()) == RECEIPT
    assert is_pod_receipt(RECEIPT.write())
    assert not is_pod_receipt(b'{"memir": "0.1.0"}')
    assert pod_receipt_of(tmp_path) is None
    assert pod_receipt_of(folder(tmp_path / "ev")) == RECEIPT
    with pytest.raises(CustodyError, match="has schema version 99"):
        parse_pod_receipt(replace(RECEIPT, schema=99).write())
    jsonschema.validate(json.loads(RECEIPT.write()), schema(PodReceipt, "x"))


def test_the_schema_in_the_docs() -> None:
    written = json.loads((SCHEMAS / "pod-receipt.schema.json").read_bytes())
    assert written == schema(PodReceipt, "memir receipt.json of a pod")


def test_verify_judges_it_again(tmp_path: Path) -> None:
    findings = verify(folder(tmp_path / "ev"))
    assert (findings.problems, findings.status, findings.exit_code) == ([], "complete", 5)
    assert findings.whose["pod"] == "shop/web"
    lying = verify(folder(tmp_path / "lying", replace(WHOLE, sent=None)))
    assert {(problem.where, problem.what.partition(":")[0]) for problem in lying.problems} == {
        ("receipt.json", "describes another collection than the manifest"),
        ("verdict", "says complete, but the node's last line never came"),
    }  # fmt: skip
    assert lying.exit_code == 3
    partial = verify(folder(tmp_path / "partial", receipt=replace(RECEIPT, status="partial", missing=("x",))))
    assert (partial.problems, partial.missing, partial.exit_code) == ([], ["x"], 4)
