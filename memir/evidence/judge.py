# SPDX-License-Identifier: Apache-2.0
"""Is the image whole? Every reason why not, in words; an empty list is the only success.

The run judges so at its end, and `memir verify` again from what was recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from memir.evidence.coverage import Coverage
from memir.evidence.records import NodeReceipt, Stored

Explain = Callable[[int | None, str], str]
"""What a tool's exit code and its own words mean (Tool.explain)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """missing: why the image is not whole (empty: it is). banner: the kernel's own words in the image."""

    missing: tuple[str, ...]
    coverage: Coverage | None = None
    banner: str = ""
    notes: tuple[str, ...] = field(default=())


def _plainly(code: int | None, log: str) -> str:
    return log.strip()[-400:] or f"exit code {code}"


def stream_problems(receipt: NodeReceipt | None, stored: Stored | None, explain: Explain = _plainly) -> list[str]:
    """What the exit codes, sizes and hashes say."""
    if receipt is None:
        return ["the node's receipt never came: the stream was cut, or the node stopped"]
    wrong = []
    if receipt.tool != 0:
        wrong.append(f"the tool's exit code is {receipt.tool}: {explain(receipt.tool, receipt.log)}")
    if receipt.consumer != 0:
        wrong.append(f"the node's sender ended with {receipt.consumer}")
    if stored is not None:
        wrong += stored.missing
        if receipt.sha256 and stored.sha256 and receipt.sha256 != stored.sha256:
            wrong.append(f"the node sent SHA-256 {receipt.sha256}, stored is {stored.sha256}")
        if receipt.size is not None and receipt.size != stored.size:
            wrong.append(f"the node sent {receipt.size:,} bytes, stored are {stored.size:,}")
        if sum(part.size for part in stored.parts) != stored.size:
            wrong.append("the parts do not add up to the whole")
        if not stored.complete and not wrong:
            wrong.append("the store does not have all of it")
    return wrong
