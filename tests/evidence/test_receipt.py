# SPDX-License-Identifier: Apache-2.0
"""receipt.json: read as it was written, refused with the field that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memir.errors import CustodyError
from memir.evidence.receipt import parse_receipt, read_receipt

OLD = Path(__file__).parent / "data" / "evidence-0.1.0"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": 7}, "field image is 7"), ({"image": {"where": 3}}, "field image.where is 3"),
        ({"status": "great"}, "field status is 'great'"), ({"missing": "x"}, "field missing is 'x'"),
        ({"schema": 99}, "has schema version 99"), ({"seconds": True}, "field seconds is True"),
        ({"coverage": []}, "field coverage is a list"),
    ],
)  # fmt: skip
def test_a_malformed_receipt_names_its_field(change: dict[str, Any], words: str) -> None:
    document = json.loads((OLD / "receipt.json").read_bytes()) | change
    with pytest.raises(CustodyError, match=words):
        parse_receipt(json.dumps(document).encode())


def test_no_receipt(tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match=r"is missing: the run did not end .close it with `memir acquire close"):
        read_receipt(tmp_path)
    (tmp_path / "receipt.json").write_text("[")
    with pytest.raises(CustodyError, match="not JSON"):
        read_receipt(tmp_path)


def test_a_receipt_is_written_as_it_was_read() -> None:
    receipt = read_receipt(OLD)
    assert parse_receipt(receipt.write()) == receipt
    assert receipt.document()["image"]["where"] == "image.avml"
