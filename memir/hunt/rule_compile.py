# SPDX-License-Identifier: Apache-2.0
"""Rule files become YARA namespaces that compile: files that need each other together, faults told or left out.

Each file is a namespace of its own, so that equal names in two files can live side by side. A rule may name a rule of
another file only within one namespace: files where that is so are compiled again, together, with those that define it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import yara

from memir.hunt.rule_files import Flat
from memir.hunt.rule_text import RuleText, SourceText, read_source

External = bool | int | float | str
_LINE = re.compile(r"^line (?P<line>\d+): (?P<reason>.*)$", re.DOTALL)
_UNDEFINED = re.compile(r'undefined identifier "(\w+)"')
_MAX_FAULTS = 50  # each fault costs one more compilation of the file


@dataclass(frozen=True)
class Namespace:
    """What is compiled as one. text: of all its files. file_of: namespace of the file that each rule comes from."""

    name: str
    files: tuple[Flat, ...]
    text: str
    source: SourceText
    file_of: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Sequence[Flat]) -> Namespace:
        """Files that are compiled together, in this order; the first names the namespace."""
        text = "\n".join(file.text for file in files)
        file_of = {rule.name: file.file.namespace for file in files for rule in file.source.rules}
        return cls(files[0].file.namespace, tuple(files), text, read_source(text), file_of)

    def place(self, line: int) -> str:
        """`file:line` of a line of the text."""
        for file in self.files:
            if line <= len(file.lines):
                return file.place(line)
            line -= len(file.lines)
        return self.files[-1].place(len(self.files[-1].lines))


def namespaces(files: Sequence[Flat], externals: Mapping[str, External]) -> list[Namespace]:
    """Files as namespaces: each alone, but for those that name a rule of another file."""
    alone = [Namespace.of([file]) for file in files]
    if compiles({space.name: space.text for space in alone}, externals):
        return alone
    defined: dict[str, list[int]] = {}
    for number, file in enumerate(files):
        for rule in file.source.rules:
            defined.setdefault(rule.name, []).append(number)
    needs: dict[int, set[int]] = {}
    for number, (file, space) in enumerate(zip(files, alone, strict=True)):
        if any(_UNDEFINED.search(reason) for _, reason in _faults(space, externals)[0]):
            own = {rule.name for rule in file.source.rules}
            words = {word for rule in file.source.rules for word in rule.needs} - own - set(externals)
            needs[number] = {defined[word][0] for word in words if word in defined}
    return [Namespace.of([files[number] for number in group]) for group in _groups(len(files), needs)]


def _groups(count: int, needs: Mapping[int, set[int]]) -> list[list[int]]:
    """Files that are connected by needs, each group with what is needed before what needs it."""
    group = list(range(count))
    for number, others in needs.items():
        for other in others:
            old, new = group[other], group[number]
            group = [new if mark == old else mark for mark in group]
    ordered: list[int] = []

    def visit(number: int, below: frozenset[int]) -> None:
        if number in ordered or number in below:
            return
        for other in sorted(needs.get(number, ())):
            visit(other, below | {number})
        ordered.append(number)

    for number in range(count):
        visit(number, frozenset())
    return [[number for number in ordered if group[number] == mark] for mark in dict.fromkeys(group)]


def compiles(texts: Mapping[str, str], externals: Mapping[str, External]) -> bool:
    """Whether these namespaces compile together."""
    try:
        yara.compile(sources=dict(texts), externals=dict(externals))
    except yara.Error:
        return False
    return True


@dataclass(frozen=True)
class Sound:
    """space: without its faulty rules; None if nothing of it compiles. faults: `file:line: reason`. emptied: how many
    rules stay as ones that never match, so that those that name them compile."""

    space: Namespace | None
    faults: tuple[str, ...]
    emptied: int = 0


def sound(space: Namespace, externals: Mapping[str, External]) -> Sound:
    """A namespace without its faulty rules; those that name one of these cannot match either, and are told too."""
    faults = [fault for file in space.files for fault in file.faults]
    located, text, emptied = _faults(space, externals)
    faults += [f"{place}: {reason}" for place, reason in located]
    if text is None:
        return Sound(None, tuple(faults))
    for rule in space.source.rules:
        lost = sorted(rule.needs & emptied)
        if rule.name not in emptied and lost:
            faults.append(f"{space.place(rule.line)}: rule {rule.name} names {', '.join(lost)}, which cannot match")
    left = Namespace(space.name, space.files, text, read_source(text), space.file_of)
    return Sound(left, tuple(faults), len(emptied))


def _faults(space: Namespace, externals: Mapping[str, External]) -> tuple[list[tuple[str, str]], str | None, set[str]]:
    """((place, reason) of every fault, text without faulty rules or None, names of these rules).

    YARA stops at the first, so a faulty rule is emptied and the rest is tried again.
    """
    faults: list[tuple[str, str]] = []
    text, emptied = space.text, set[str]()
    for module, line in space.source.imports:
        if module not in yara.modules:
            have = ", ".join(sorted(yara.modules))
            faults.append((space.place(line), f"imports module {module!r}, which this YARA lacks; it has {have}"))
            text = _without_import(text, module)
            users = [rule for rule in space.source.rules if module in rule.needs]
            text = empty(text, users)
            emptied |= {rule.name for rule in users}
    for _ in range(_MAX_FAULTS):
        try:
            yara.compile(source=text, externals=dict(externals))
        except yara.Error as error:
            located = _LINE.match(str(error))
            line = int(located["line"]) if located else 0
            reason = located["reason"] if located else str(error)
            faults.append((space.place(line), reason + _hint(reason)))
            before = [rule for rule in read_source(text).rules if rule.line <= line and rule.name not in emptied]
            if not before:
                return faults, None, emptied
            text = empty(text, before[-1:])
            emptied.add(before[-1].name)
        else:
            return faults, text, emptied
    return faults, None, emptied


def empty(text: str, rules: Iterable[RuleText]) -> str:
    """The text with some rules' bodies replaced by one that compiles and never matches; all lines stay where they are.

    rules: of this text, or of one whose bodies have the same lines.
    """
    names = {rule.name: rule.line for rule in rules}
    for rule in reversed(read_source(text).rules):
        if names.get(rule.name) == rule.line:
            start, end = rule.body
            text = text[:start] + "{ condition: false " + "\n" * text.count("\n", start, end) + text[end:]
    return text


def _without_import(text: str, module: str) -> str:
    return re.sub(rf'\bimport(\s+)"{re.escape(module)}"', lambda match: "\n" * match[1].count("\n"), text)


def _hint(reason: str) -> str:
    name = _UNDEFINED.search(reason)
    if name is None:
        return ""
    return f" (a variable? --external {name[1]}=VALUE; a rule? add the file that defines it)"
