# SPDX-License-Identifier: Apache-2.0
"""What a run is checked for, will do and will leave: said before it, and kept in its receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Format = Literal["lime", "avml"]
"""lime: record headers and raw bytes (`--format lime`); avml: the same ranges as snappy frames, smaller."""


Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One preflight check's outcome.

    name: what was looked at ("lockdown", "s3:PutObject"). detail: what was found. advice: what to do, if not
    ok.
    """

    name: str
    level: Level
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """Something that the acquisition leaves or may leave behind, for the receipt and `--dry-run`.

    where: path, log or service. what: what will be found there. avoidable: False where no option avoids it.
    """

    where: str
    what: str
    stays: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan.

    What is done, where (`controller`, `node`, `aws`, `kubernetes`), and the command if any.
    """

    what: str
    where: str
    command: str = ""
    changes: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run will do and leave, in order.

    Printed by `--dry-run` and written to the manifest.
    """

    steps: tuple[Step, ...]
    traces: tuple[Trace, ...]
    warnings: tuple[str, ...] = ()
