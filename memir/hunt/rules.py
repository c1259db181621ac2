# SPDX-License-Identifier: Apache-2.0
"""YARA rules: files, folders, includes and compiled rules, all compiled before anything is scanned."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import yara

from memir.errors import RulesError, UsageError
from memir.hunt.rule_compile import External, Namespace, compiles, empty, namespaces, sound
from memir.hunt.rule_files import Flat, RuleFile, read_rule_files
from memir.hunt.rule_text import monotone

STARTER = Path(__file__).parent / "rules"
"""Folder of the rules that come with memir."""
UNIT_EXTERNALS = ("filename", "filepath", "extension", "owner")
"""Variables that are set for every unit: of the file that it is, or of the program that runs in it."""

RuleName = tuple[str, str]
"""Namespace and name of a rule."""


@dataclass(frozen=True)
class RuleSet:
    """Compiled rules. sets: yara.Rules objects, each of which scans every unit.

    count: rules in all. monotone: every rule is (see rule_text). notes: what the user should know: duplicate
    names. skipped: faults of rules that were left out, `file:line: reason`. externals: as given; compiled rules take
    them when they scan. unit_externals: those of UNIT_EXTERNALS that rules ask for and the user did not set.
    names: rules of the source files. divisible: sets (by number) that can be had without some of their rules.
    digest: SHA-256 of rules and externals, the same wherever the files lie.
    """

    sets: tuple[Any, ...]
    files: tuple[Path, ...]
    count: int
    monotone: bool
    externals: Mapping[str, External] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    unit_externals: frozenset[str] = frozenset()
    names: tuple[RuleName, ...] = ()
    divisible: frozenset[int] = frozenset()
    digest: str = ""
    _spaces: tuple[Namespace, ...] = ()

    def without(self, names: Iterable[RuleName]) -> Any:
        """The rules of the source files, some of which never match."""
        out = set(names)
        texts = {
            space.name: empty(space.text, [rule for rule in space.source.rules if (space.name, rule.name) in out])
            for space in self._spaces
        }
        return yara.compile(sources=texts, externals=_defined(self.externals))

    def file_of(self, namespace: str, rule: str) -> str:
        """The namespace of the file that a rule comes from, where several files were compiled together."""
        return self._origins.get((namespace, rule), namespace)

    @functools.cached_property
    def _origins(self) -> dict[RuleName, str]:
        return {
            (space.name, rule): name
            for space in self._spaces
            if len(space.files) > 1
            for rule, name in space.file_of.items()
        }


@dataclass(frozen=True)
class Packed:
    """A rule set as bytes, to be sent to another process or machine of the same architecture."""

    sets: tuple[bytes, ...]
    rest: RuleSet

    @classmethod
    def of(cls, rules: RuleSet) -> Packed:
        """Pack a rule set."""
        return cls(tuple(_saved(compiled) for compiled in rules.sets), replace(rules, sets=()))

    def unpack(self) -> RuleSet:
        """The rule set, loaded."""
        return replace(self.rest, sets=tuple(yara.load(file=BytesIO(part)) for part in self.sets))


def parse_externals(pairs: Sequence[str]) -> dict[str, External]:
    """`name=value` pairs of the command line: true/false, whole and decimal numbers are read as such."""
    externals: dict[str, External] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--external {pair}: write it as name=value")
        if value in ("true", "false"):
            externals[name] = value == "true"
        elif re.fullmatch(r"-?\d{1,18}", value):
            externals[name] = int(value)
        elif re.fullmatch(r"-?\d+\.\d+", value):
            externals[name] = float(value)
        else:
            externals[name] = value
    return externals


def load_rules(
    paths: Sequence[Path], externals: Mapping[str, External] | None = None, *, skip_bad: bool = False
) -> RuleSet:
    """Compile all rules of files and folders.

    Each source file is a YARA namespace of its own, named by its path below the folder given, so that equal
    names in two files can live side by side (and are told). Files that another one includes are not compiled
    a second time; files that name rules of others are compiled with those. RulesError with one line a fault: file,
    line, reason; with skip_bad faulty rules are left out, and the faults are in `skipped`.
    """
    externals = dict(externals or {})
    defined = _defined(externals)
    files = read_rule_files(paths)
    flat = [file for file in files if isinstance(file, Flat)]
    spaces = namespaces(flat, defined)
    faults: list[str] = []
    left_out = 0
    whole = compiles({space.name: space.text for space in spaces}, defined)
    if not whole or any(file.faults for file in flat):
        judged = [sound(space, defined) for space in spaces]
        faults = [fault for sounded in judged for fault in sounded.faults]
        left_out = sum(sounded.emptied for sounded in judged)
        spaces = [sounded.space for sounded in judged if sounded.space is not None]
    sets: list[Any] = []
    for file in files:
        if isinstance(file, RuleFile):
            try:
                sets.append(yara.load(str(file.path)))
            except yara.Error as error:
                faults.append(f"{file.path}: compiled rules that this YARA ({yara.__version__}) cannot load: {error}")
    faults = list(dict.fromkeys(faults))  # of a file that two others include
    if faults and not skip_bad:
        raise RulesError("rules do not compile:\n  " + "\n  ".join(faults))
    if spaces:
        sets.insert(0, yara.compile(sources={space.name: space.text for space in spaces}, externals=defined))
    count = sum(1 for compiled in sets for _ in compiled) - left_out
    if not count:
        why = "".join(f"\n  {fault}" for fault in faults)
        raise RulesError(f"no rules in {', '.join(str(path) for path in paths)}{why}")
    words = {word for space in spaces for rule in space.source.rules for word in rule.needs}
    asked = words if len(flat) == len(files) else words | set(UNIT_EXTERNALS)  # compiled rules do not tell
    return RuleSet(
        sets=tuple(sets),
        files=tuple(file.path if isinstance(file, RuleFile) else file.file.path for file in files),
        count=count,
        monotone=len(flat) == len(files) and all(monotone(space.source) for space in spaces),
        externals=externals,
        notes=_duplicates(flat),
        skipped=tuple(faults),
        unit_externals=frozenset(UNIT_EXTERNALS) & asked - set(externals),
        names=tuple((space.name, rule.name) for space in spaces for rule in space.source.rules),
        divisible=frozenset({0} if spaces else ()),
        digest=_digest(spaces, sets[bool(spaces) :], externals),
        _spaces=tuple(spaces),
    )


def _defined(externals: Mapping[str, External]) -> dict[str, External]:
    """Externals as rules are compiled with them: those of units are there, empty, unless the user set them."""
    return {**dict.fromkeys(UNIT_EXTERNALS, ""), **externals}


def _saved(compiled: Any) -> bytes:
    buffer = BytesIO()
    compiled.save(file=buffer)
    return buffer.getvalue()


def _digest(spaces: Sequence[Namespace], compiled: Sequence[Any], externals: Mapping[str, External]) -> str:
    parts = [repr((space.name, space.text)) for space in sorted(spaces, key=lambda space: space.name)]
    parts += sorted(hashlib.sha256(_saved(rules)).hexdigest() for rules in compiled)
    parts += [repr(pair) for pair in sorted(externals.items())]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _duplicates(files: Sequence[Flat]) -> tuple[str, ...]:
    seen: dict[str, list[str]] = {}
    for file in files:
        for rule in file.source.rules:
            path, line = file.lines[rule.line - 1]
            name = file.file.namespace if path == file.file.path else path.name
            seen.setdefault(rule.name, []).append(f"{name}:{line}")
    return tuple(
        f"rule {name} is defined {len(places)} times: {', '.join(places)}"
        for name, places in seen.items()
        if len(places) > 1
    )
