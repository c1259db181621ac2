# SPDX-License-Identifier: Apache-2.0
"""Manifest and receipt as typed records: their schemas, what 0.1.0 wrote, and what is malformed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from memir.documents import encode, schema
from memir.errors import CustodyError
from memir.evidence.custody import Manifest, read_chain
from memir.evidence.receipt import Receipt, read_receipt
from memir.evidence.records import (
    EVENTS,
    Begin,
    Captured,
    End,
    Image,
    NodeRecord,
    ToolRecord,
    VerdictRecord,
    files_of,
    last,
    manifest_schema,
)

OLD = Path(__file__).parent / "data" / "evidence-0.1.0"
SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_bytes().splitlines()]


def test_the_schemas_in_the_docs_are_made_from_the_records() -> None:
    assert json.loads((SCHEMAS / "manifest.schema.json").read_bytes()) == manifest_schema()
    assert json.loads((SCHEMAS / "receipt.schema.json").read_bytes()) == schema(Receipt, "memir receipt.json")


def test_what_0_1_0_wrote_fits_the_schemas_and_is_read() -> None:
    validator = jsonschema.Draft202012Validator(manifest_schema())
    records = lines(OLD)
    assert [list(validator.iter_errors(record)) for record in records] == [[] for _ in records]
    jsonschema.validate(json.loads((OLD / "receipt.json").read_bytes()), schema(Receipt, "x"))
    begin, image = last(records, "begin", Begin), last(records, "image", Image)
    assert begin is not None and image is not None
    assert (begin.schema, begin.case, begin.who, begin.signer) == (1, "CASE-7", "kim@desk", "")
    assert begin.node.iomem.startswith("00001000-00040fff : System RAM")
    assert (image.where, image.size, image.complete, len(image.parts)) == ("image.avml", 111503, True, 1)
    assert image.as_stored().sha256 == image.sha256
    receipt = read_receipt(OLD)
    assert (receipt.schema, receipt.status, receipt.image) == (1, "complete", image)
    captured, tool = last(records, "captured", Captured), last(records, "tool", ToolRecord)
    end = last(records, "end", End)
    assert captured is not None and captured.receipt is not None and captured.receipt.tool == 0
    assert tool is not None and (tool.tool, tool.files[0].name) == ("avml", "avml")
    assert end is not None and end.status == "complete" and end.utc.startswith("20")
    assert files_of(records) == []
    assert last(records, "resumed", Begin) is None


def test_the_schema_refuses_what_is_none() -> None:
    validator = jsonschema.Draft202012Validator(manifest_schema())
    record = lines(OLD)[0]
    assert list(validator.iter_errors(record | {"event": "party"}))
    assert list(validator.iter_errors(record | {"node": 7}))
    assert list(validator.iter_errors({"event": "begin"}))


def test_what_is_written_now_fits(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    node = NodeRecord("n", "6.1", "x86_64", "b")
    begin = Begin("r", "0.1.0", "kim", "ssh", {"host": "n"}, node, schema=2, signer="a")
    manifest.add("begin", **encode(begin))
    manifest.add("problem", where="cluster", why="denied")
    manifest.add("verdict", **encode(VerdictRecord("partial", ("cut",))))
    manifest.close()
    records = lines(tmp_path)
    for record in records:
        jsonschema.validate(record, manifest_schema())
    assert last(read_chain((tmp_path / "manifest.jsonl").read_bytes()).records, "begin", Begin) == begin


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_a_malformed_record_names_its_line_and_field(event: str) -> None:
    with pytest.raises(CustodyError, match=rf"^manifest\.jsonl line 1 \({event}\): field \w+ is missing"):
        last([{"event": event}], event, EVENTS[event])
