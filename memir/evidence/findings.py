# SPDX-License-Identifier: Apache-2.0
"""What a check of an evidence folder gave: whether it holds, what does not match, and the exit code that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memir.errors import EXIT_DONE, EXIT_EVIDENCE, EXIT_REMOTE, EXIT_UNSIGNED, worst


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not match: where (file, part, record) and what."""

    where: str
    what: str


@dataclass
class Findings:
    """What `verify` found.

    holds: nothing at all is wrong. complete: and the image is whole, judged again. whose: run, case, who, node ...
    dated: what dates the end, in words.
    """

    folder: str
    status: str = "unknown"
    image: str = ""
    signer: str = ""
    signature: str = "none"
    whose: dict[str, str] = field(default_factory=dict)
    dated: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """The record is unbroken and every byte is what was recorded."""
        return not self.problems

    @property
    def complete(self) -> bool:
        """It holds, and it was and is a whole image."""
        return self.holds and self.status == "complete"

    @property
    def exit_code(self) -> int:
        """3 if anything does not match, else 4 if the image is not whole, else 5 if nobody signed, else 0."""
        if not self.holds:
            return EXIT_EVIDENCE
        codes = [EXIT_DONE if self.complete else EXIT_REMOTE, EXIT_UNSIGNED if self.signature == "none" else EXIT_DONE]
        return worst(codes)

    def wrong(self, where: str, what: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(where, what))


def summary(findings: Findings) -> Mapping[str, Any]:
    """For --json."""
    return {
        "evidence": findings.folder,
        "holds": findings.holds,
        "complete": findings.complete,
        "status": findings.status,
        "whose": findings.whose,
        "image": findings.image,
        "signature": findings.signature,
        "signer": findings.signer,
        "dated": findings.dated,
        "checked": findings.checked,
        "problems": [{"where": problem.where, "what": problem.what} for problem in findings.problems],
        "missing": findings.missing,
        "notes": findings.notes,
    }
