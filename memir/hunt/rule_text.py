# SPDX-License-Identifier: Apache-2.0
"""What can be told of YARA rules from their text: where each stands, what it imports, whether it is monotone.

A rule is monotone if more bytes can only make it match more, wherever they stand: its condition asks which
strings are there, joined by `and`, `or` and `N of`, and nothing of offsets, sizes or absence. Such rules may
be given a region with its empty pages left out, or the file that it is a part of, and still mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<count>[#@!][A-Za-z0-9_]*)
  | (?P<name>\$[A-Za-z0-9_]*\*?)
  | (?P<number>0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:KB|MB)?)
  | (?P<sign>>=|<=|==|!=|<<|>>|\.\.|[^\sA-Za-z0-9_])
    """,
    re.VERBOSE | re.DOTALL,
)
_HEX = re.compile(r"\{[^{}]*\}")
_REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[is]*")
_JUMP = re.compile(r"\[\s*(\d+)")
_MONOTONE_WORDS = frozenset({"and", "or", "any", "all", "of", "them", "true"})
_MONOTONE_SIGNS = frozenset("(),%")
_FAR = 4096


@dataclass(frozen=True, slots=True)
class Token:
    """kind: space, string, word, count (#a), name ($a), number, sign, regex or hex. offset: of its first
    character."""

    kind: str
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class RuleText:
    """One rule. line: of its name, from 1. body: indexes of its opening and closing brace. needs: rules it
    names."""

    name: str
    line: int
    body: tuple[int, int]
    monotone: bool
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class SourceText:
    """A rule file as far as it could be read; what YARA itself would refuse ends it early."""

    rules: tuple[RuleText, ...]
    imports: tuple[tuple[str, int], ...]
    includes: tuple[tuple[str, int], ...]


def tokens(text: str) -> Iterator[Token]:
    """Tokens of a rule file. A regex or hex string is told from a division or a body by what stands before
    it."""
    offset, before = 0, ""
    while offset < len(text):
        match = _REGEX.match(text, offset) if before in ("=", "matches", "(") and text[offset] == "/" else None
        kind = "regex"
        if match is None or text.startswith(("//", "/*"), offset):
            match, kind = (_HEX.match(text, offset), "hex") if before == "=" and text[offset] == "{" else (None, "")
        if match is None:
            match = _TOKEN.match(text, offset)
            if match is None:
                offset += 1
                continue
            kind = match.lastgroup or ""
        if kind != "space":
            before = match.group()
            yield Token(kind, before, offset)
        offset = match.end()


def read_source(text: str) -> SourceText:
    """Rules, imports and includes of a rule file."""
    rules: list[RuleText] = []
    imports: list[tuple[str, int]] = []
    includes: list[tuple[str, int]] = []
    stream = list(tokens(text))
    row = 0
    while row < len(stream):
        token = stream[row]
        following = stream[row + 1] if row + 1 < len(stream) else None
        if token.text in ("import", "include") and following is not None and following.kind == "string":
            (imports if token.text == "import" else includes).append((following.text[1:-1], _line(text, token.offset)))
            row += 2
        elif token.text == "rule" and following is not None and following.kind == "word":
            end = _body(stream, row + 2)
            if end is None:
                break
            rules.append(_rule(text, following, stream[end[0] : end[1] + 1]))
            row = end[1] + 1
        else:
            row += 1
    return SourceText(tuple(rules), tuple(imports), tuple(includes))


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _body(stream: list[Token], first: int) -> tuple[int, int] | None:
    """Places in the stream of the braces around a rule's body."""
    begin = next((place for place in range(first, len(stream)) if stream[place].text == "{"), None)
    if begin is None:
        return None
    end = next((place for place in range(begin + 1, len(stream)) if stream[place].text == "}"), None)
    return None if end is None else (begin, end)


def _rule(text: str, name: Token, body: list[Token]) -> RuleText:
    start = next(
        (row for row in range(len(body) - 1) if body[row].text == "condition" and body[row + 1].text == ":"),
        len(body),
    )
    condition = body[start + 2 : -1]
    words = {token.text for token in condition if token.kind == "word"} - _MONOTONE_WORDS
    monotone = bool(condition) and _condition_monotone(condition) and all(map(_string_monotone, body[:start]))
    return RuleText(name.text, _line(text, name.offset), (body[0].offset, body[-1].offset), monotone, frozenset(words))


def _condition_monotone(condition: list[Token]) -> bool:
    """Words that are not the language's own must be names of rules: SourceText's reader checks that."""
    row = 0
    while row < len(condition):
        token = condition[row]
        rest = [after.text for after in condition[row + 1 : row + 3]]
        if token.kind == "count":
            if not token.text.startswith("#") or len(rest) < 2 or rest[0] not in (">", ">=") or not rest[1].isdigit():
                return False
            row += 3
            continue
        if token.kind == "number" and (not token.text.isdigit() or int(token.text) == 0):
            return False
        if token.kind == "sign" and token.text not in _MONOTONE_SIGNS:
            return False
        if token.kind not in ("word", "name", "number", "sign"):
            return False
        row += 1
    return True


def _string_monotone(token: Token) -> bool:
    """A string whose matches do not depend on where the bytes begin or end, nor reach over pages left out."""
    if token.kind == "hex":
        return all(int(low) < _FAR for low in _JUMP.findall(token.text))
    if token.kind == "regex":
        plain = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", token.text)
        return "^" not in plain and "$" not in plain
    return True


def monotone(source: SourceText) -> bool:
    """Whether every rule of a file is monotone, those included with it left aside."""
    sound = {rule.name for rule in source.rules if rule.monotone}
    return all(rule.monotone and rule.needs <= sound for rule in source.rules)
