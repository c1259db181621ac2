# SPDX-License-Identifier: Apache-2.0
"""What makes two hunts the same run: the rules' sources, the externals, and the options that change what is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from memir.case.record import RuleFile
from memir.errors import RulesError

ANALYSIS = "analyze"
"""The run of an analysis: a case has one."""
MAX_INCLUDES = 10_000
"""Files that rules include, in all: YARA itself stops at 16 levels, but not at a number of files."""


def run_id(rules: Iterable[RuleFile], externals: Mapping[str, object], options: Mapping[str, object]) -> str:
    """16 hex digits. The order of files and their paths do not matter, their content does.

    options: those that change what is found (kinds, scope, filters, timeout); not how many threads do it.
    """
    parts = {
        "rules": sorted(rule.sha256 for rule in rules),
        "externals": {name: [type(value).__name__, value] for name, value in externals.items()},
        "options": {
            name: sorted(map(str, value)) if isinstance(value, list | tuple | set | frozenset) else value
            for name, value in options.items()
        },
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def rule_files(files: Sequence[Path]) -> tuple[RuleFile, ...]:
    """Each rule file, and what it includes, with its SHA-256. RulesError for one that cannot be read any more."""
    from memir.hunt.rule_text import read_source

    read: dict[Path, RuleFile] = {}
    waiting = list(files)
    while waiting and len(read) < MAX_INCLUDES:
        path = waiting.pop(0)
        if path.resolve() in read:
            continue
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise RulesError(f"{path}: cannot be read: {error.strerror or error}") from error
        read[path.resolve()] = RuleFile(str(path), hashlib.sha256(raw).hexdigest())
        if not raw.startswith(b"YARA"):  # compiled rules hold what they included
            source = read_source(raw.decode("utf-8", "surrogateescape"))
            waiting += [path.parent / name for name, _ in source.includes]
    return tuple(read.values())
