# SPDX-License-Identifier: Apache-2.0
"""receipt.json of a pod that was collected: the run in one document, bound to the manifest by its hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memir.documents import MAX_DOCUMENT, decode, encode, parse
from memir.errors import CustodyError
from memir.evidence.collected import Collection
from memir.evidence.folder import RECEIPT, read_file
from memir.evidence.plan import Trace
from memir.evidence.receipt import ReceiptNode
from memir.evidence.records import SCHEMA, Status

KIND = "pod"


@dataclass(frozen=True, slots=True)
class PodReceipt:
    """A collection in one document. left_on_node: what could not be removed; traces: what stays there and in logs."""

    kind: str
    memir: str
    run: str
    status: Status
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    finished: str
    node: ReceiptNode
    clock_offset: float
    collection: Collection
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


def is_pod_receipt(data: bytes) -> bool:
    """Whether a receipt.json is of a pod; an acquisition's names no kind."""
    document = parse(data, RECEIPT, CustodyError)
    return isinstance(document, dict) and document.get("kind") == KIND


def parse_pod_receipt(data: bytes, name: str = RECEIPT) -> PodReceipt:
    """From the file's content. CustodyError names the field that is wrong."""
    receipt = decode(PodReceipt, parse(data, name, CustodyError), name, CustodyError)
    if receipt.schema > SCHEMA:
        raise CustodyError(f"{name} has schema version {receipt.schema}; this memir reads up to {SCHEMA}: update memir")
    return receipt


def pod_receipt_of(folder: Path) -> PodReceipt | None:
    """receipt.json of a folder that a pod was collected into, None for any other folder. CustodyError."""
    try:
        data = read_file(folder, RECEIPT, MAX_DOCUMENT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return parse_pod_receipt(data, str(folder / RECEIPT)) if is_pod_receipt(data) else None
