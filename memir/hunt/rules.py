# SPDX-License-Identifier: Apache-2.0
"""YARA rules: files, folders, includes and compiled rules, all compiled before anything is scanned."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import yara

from memir.errors import RulesError, UsageError
from memir.hunt.rule_text import SourceText, monotone, read_source

SUFFIXES = (".yar", ".yara", ".yarc")
STARTER = Path(__file__).parent / "rules"
"""Folder of the rules that come with memir."""
_COMPILED = b"YARA"
_WHERE = re.compile(r"^(?:(?P<path>.*?)\((?P<line>\d+)\)|line (?P<number>\d+)): (?P<reason>.*)$", re.DOTALL)
_MAX_ERRORS = 50

External = bool | int | float | str


@dataclass(frozen=True)
class _File:
    path: Path
    namespace: str
    text: str | None  # None: compiled
    source: SourceText = field(default_factory=lambda: SourceText((), (), ()))


RuleName = tuple[str, str]
"""Namespace and name of a rule."""


@dataclass(frozen=True)
class RuleSet:
    """Compiled rules. sets: yara.Rules objects, each of which scans every unit.

    count: rules in all. monotone: every rule is (see rule_text). notes: what the user should know: duplicate
    names. externals: as given; compiled rules take them when they scan. names: rules of the source files.
    divisible: sets (by number) that can be had without some of their rules.
    """

    sets: tuple[Any, ...]
    files: tuple[Path, ...]
    count: int
    monotone: bool
    externals: Mapping[str, External] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    names: tuple[RuleName, ...] = ()
    divisible: frozenset[int] = frozenset()
    _sources: tuple[_File, ...] = ()

    def without(self, names: Iterable[RuleName]) -> Any:
        """The rules of the source files, some of which never match."""
        out = set(names)
        texts: dict[str, str] = {}
        for one in self._sources:
            text = one.text or ""
            for rule in reversed(one.source.rules):
                if (one.namespace, rule.name) in out:
                    text = _emptied(text, rule.body)
            texts[one.namespace] = text
        folders = {one.namespace: one.path.parent for one in self._sources}
        return yara.compile(sources=texts, include_callback=_includer(folders), externals=dict(self.externals))


@dataclass(frozen=True)
class Packed:
    """A rule set as bytes, to be sent to another process or machine of the same architecture."""

    sets: tuple[bytes, ...]
    rest: RuleSet

    @classmethod
    def of(cls, rules: RuleSet) -> Packed:
        """Pack a rule set. What was included from other files is in the compiled rules, but not in their text."""
        parts = []
        for one in rules.sets:
            buffer = BytesIO()
            one.save(file=buffer)
            parts.append(buffer.getvalue())
        whole = frozenset() if any(one.source.includes for one in rules._sources) else rules.divisible
        return cls(tuple(parts), replace(rules, sets=(), divisible=whole))

    def unpack(self) -> RuleSet:
        """The rule set, loaded."""
        return replace(self.rest, sets=tuple(yara.load(file=BytesIO(one)) for one in self.sets))


def parse_externals(pairs: Sequence[str]) -> dict[str, External]:
    """`name=value` pairs of the command line: true/false, whole and decimal numbers are read as such."""
    found: dict[str, External] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--external {pair}: write it as name=value")
        if value in ("true", "false"):
            found[name] = value == "true"
        elif re.fullmatch(r"-?\d{1,18}", value):
            found[name] = int(value)
        elif re.fullmatch(r"-?\d+\.\d+", value):
            found[name] = float(value)
        else:
            found[name] = value
    return found


def load_rules(paths: Sequence[Path], externals: Mapping[str, External] | None = None) -> RuleSet:
    """Compile all rules of files and folders.

    Each source file is a YARA namespace of its own, named by its path below the folder given, so that equal
    names in two files can live side by side (and are told). Files that another one includes are not compiled
    a second time. RulesError with one line a fault: file, line, reason.
    """
    externals = dict(externals or {})
    files = _drop_included(_files(paths))
    sources = [one for one in files if one.text is not None]
    texts = {one.namespace: one.source for one in sources}
    errors = _missing_modules(sources, texts)
    sets: list[Any] = []
    if sources:
        try:
            places = {one.namespace: str(one.path) for one in sources}
            sets.append(yara.compile(filepaths=places, externals=externals))
        except yara.Error as error:
            told = {message.partition(":")[0] for message in errors}
            for one in sources:
                if str(one.path) not in told:
                    errors += _faults(one, texts[one.namespace], externals)
            errors = errors or [str(error)]
    for one in files:
        if one.text is None:
            try:
                sets.append(yara.load(str(one.path)))
            except yara.Error as error:
                errors.append(f"{one.path}: compiled rules that this YARA ({yara.__version__}) cannot load: {error}")
    if errors:
        raise RulesError("rules do not compile:\n  " + "\n  ".join(errors))
    rules = [rule for compiled in sets for rule in compiled]
    if not rules:
        raise RulesError(f"no rules in {', '.join(str(path) for path in paths)}")
    plain = len(sources) == len(files) and not any(one.source.includes for one in sources)
    return RuleSet(
        sets=tuple(sets),
        files=tuple(one.path for one in files),
        count=len(rules),
        monotone=plain and all(monotone(one.source) for one in sources),
        externals=externals,
        notes=_duplicates(texts),
        names=tuple((one.namespace, rule.name) for one in sources for rule in one.source.rules),
        divisible=frozenset({0} if sources else ()),
        _sources=tuple(sources),
    )


def _files(paths: Sequence[Path]) -> list[_File]:
    found: dict[Path, _File] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
            if not inside:
                raise RulesError(
                    f"{path}: no rule files ({', '.join('*' + suffix for suffix in SUFFIXES)}) in this folder"
                )
        elif path.exists():
            inside = [path]
        else:
            raise RulesError(f"{path}: no such file or folder")
        for one in inside:
            if one.resolve() not in found:
                name = one.relative_to(path).as_posix() if path.is_dir() else one.name
                found[one.resolve()] = _read(one, name)
    return _unique_names(list(found.values()))


def _read(path: Path, name: str) -> _File:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RulesError(f"{path}: cannot be read: {error.strerror}") from error
    if raw.startswith(_COMPILED):
        return _File(path, name, None)
    text = raw.decode("utf-8", "surrogateescape")
    return _File(path, name, text, read_source(text))


def _unique_names(files: list[_File]) -> list[_File]:
    """Namespaces of files of the same name in several folders are told apart by their whole path."""
    count: dict[str, int] = {}
    for one in files:
        count[one.namespace] = count.get(one.namespace, 0) + 1
    return [one if count[one.namespace] == 1 else replace(one, namespace=str(one.path)) for one in files]


def _drop_included(files: list[_File]) -> list[_File]:
    """A folder with an index file that includes the others would have every rule twice."""
    included: set[Path] = set()
    for one in files:
        for name, _ in one.source.includes:
            included.add((one.path.parent / name).resolve())
    kept = [one for one in files if one.path.resolve() not in included]
    return kept or files


def _missing_modules(sources: list[_File], texts: Mapping[str, SourceText]) -> list[str]:
    have = set(yara.modules)
    return [
        f"{one.path}:{line}: imports module {name!r}, which this YARA lacks; it has {', '.join(sorted(have))}"
        for one in sources
        for name, line in texts[one.namespace].imports
        if name not in have
    ]


def _faults(file: _File, source: SourceText, externals: Mapping[str, External]) -> list[str]:
    """Every fault of a file. YARA stops at the first, so a faulty rule is emptied and the rest is tried
    again."""
    text, errors = file.text or "", []
    emptied: set[str] = set()
    for _ in range(_MAX_ERRORS):
        try:
            _compile_text(file, text, externals)
        except yara.Error as error:
            said = _WHERE.match(str(error))
            line = int(said["line"] or said["number"]) if said else 0
            inner = Path(said["path"]) if said and said["path"] not in (None, "", "default") else file.path
            reason = said["reason"] if said else str(error)
            errors.append(f"{inner}:{line}: {reason}{_hint(reason)}")
            faulty = [rule for rule in source.rules if rule.line <= line and rule.name not in emptied]
            if inner != file.path or not faulty:
                break
            rule = faulty[-1]
            emptied.add(rule.name)
            text = _emptied(text, rule.body)
        else:
            break
    return errors


def _compile_text(file: _File, text: str, externals: Mapping[str, External]) -> None:
    if text == file.text:
        yara.compile(filepath=str(file.path), externals=dict(externals))
    else:
        folders = {"default": file.path.parent}
        yara.compile(source=text, include_callback=_includer(folders), externals=dict(externals))


def _includer(folders: Mapping[str, Path]) -> Callable[[str, str | None, str | None], str]:
    """Includes of rules that are compiled from text: relative to the file that asks, as YARA does it for files."""

    def include(name: str, requester: str | None, namespace: str | None) -> str:
        base = Path(requester).parent if requester else folders.get(namespace or "default", Path())
        return (base / name).read_text(encoding="utf-8", errors="surrogateescape")

    return include


def _emptied(text: str, body: tuple[int, int]) -> str:
    """The text with a rule's body replaced by one that compiles; its lines stay where they are."""
    start, end = body
    return text[:start] + "{ condition: false " + "\n" * text.count("\n", start, end) + text[end:]


def _hint(reason: str) -> str:
    found = re.search(r'undefined identifier "(\w+)"', reason)
    return f" (give it with --external {found[1]}=VALUE, if it is one)" if found else ""


def _duplicates(texts: Mapping[str, SourceText]) -> tuple[str, ...]:
    seen: dict[str, list[str]] = {}
    for namespace, source in texts.items():
        for rule in source.rules:
            seen.setdefault(rule.name, []).append(f"{namespace}:{rule.line}")
    return tuple(f"rule {name} is defined {len(at)} times: {', '.join(at)}" for name, at in seen.items() if len(at) > 1)
