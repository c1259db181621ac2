# SPDX-License-Identifier: Apache-2.0
"""receipt.json: the run in one document. It sums the manifest up and is bound to it by its hash in the last record."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memir.documents import MAX_DOCUMENT, decode, encode, parse
from memir.errors import CustodyError
from memir.evidence.folder import RECEIPT, read_file
from memir.evidence.plan import Trace
from memir.evidence.records import SCHEMA, CoverageRecord, Image, Status, ToolRecord


@dataclass(frozen=True, slots=True)
class ReceiptNode:
    """Which node, and which boot of it."""

    hostname: str
    kernel: str
    machine: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A run in one document.

    missing: why the image is not whole. resume: how to go on. clock_offset: node minus controller, seconds. seconds:
    of the stream; store_seconds: syncing and reading back. left_on_node: what could not be removed. traces: what stays
    on the node and in logs.
    """

    memir: str
    run: str
    status: Status
    missing: tuple[str, ...]
    resume: str
    notes: tuple[str, ...]
    finished: str
    node: ReceiptNode
    clock_offset: float
    tool: ToolRecord
    image: Image
    seconds: float
    store_seconds: float
    banner: str
    coverage: CoverageRecord | None
    left_on_node: tuple[str, ...]
    traces: tuple[Trace, ...]
    schema: int = 1
    case: str = ""

    def document(self) -> Mapping[str, Any]:
        """As JSON holds it."""
        document: Mapping[str, Any] = encode(self)
        return document

    def write(self) -> bytes:
        """The content of receipt.json."""
        return json.dumps(self.document(), indent=2, ensure_ascii=True).encode() + b"\n"


def parse_receipt(data: bytes, name: str = RECEIPT) -> Receipt:
    """From the file's content. CustodyError names the field that is wrong."""
    receipt = decode(Receipt, parse(data, name, CustodyError), name, CustodyError)
    if receipt.schema > SCHEMA:
        raise CustodyError(f"{name} has schema version {receipt.schema}; this memir reads up to {SCHEMA}: update memir")
    return receipt


def read_receipt(folder: Path) -> Receipt:
    """receipt.json of an evidence folder. Raises CustodyError when it is not there or not readable."""
    try:
        data = read_file(folder, RECEIPT, MAX_DOCUMENT)
    except FileNotFoundError as error:
        raise CustodyError(
            f"{folder / RECEIPT} is missing: the run did not end (close it with "
            f"`memir acquire close {shlex.quote(str(folder))}`), or this is no evidence folder"
        ) from error
    return parse_receipt(data, str(folder / RECEIPT))
