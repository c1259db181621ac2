# SPDX-License-Identifier: Apache-2.0
"""Known indicators (hashes, addresses, domains) from a file: a list, CSV, or STIX 2.1 JSON; the table `indicators`.

STIX patterns are read by their comparisons with `=`: what joins them (AND, FOLLOWEDBY) is not judged, each value counts
by itself, and a comparison of another kind is counted as not understood.
"""

from __future__ import annotations

import csv
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from memir.errors import UsageError
from memir.tables.table import Table, columns

COLUMNS = columns("""
    type             string       sha256, sha1, md5, address, network or domain
    value            string       in lower case
    text             string       as the file has it
    name             string       what the file calls it
    source           string       file and place in it
""")
TABLE = Table("indicators", "Known indicators that were given with --ioc.", COLUMNS, None)
MAX_FILE = 256 << 20
_HASHES = {64: "sha256", 40: "sha1", 32: "md5"}
_HEX = re.compile(r"[0-9a-fA-F]+")
_DOMAIN = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")
_COMPARISON = re.compile(
    r"(ipv4-addr|ipv6-addr|domain-name|url|file|network-traffic|x509-certificate|email-addr)"
    r":([\w.'\"\[\]*-]{1,100})\s*(=|!=|LIKE|MATCHES|IN|ISSUBSET|>=|<=|<|>)\s*'((?:[^'\\]|\\.){1,2000})'"
)
_SCO = frozenset({"ipv4-addr", "ipv6-addr", "domain-name", "url", "file"})
_NAMES = ("indicator", "value", "ioc", "observable", "indicator_value", "ioc_value")


@dataclass(frozen=True)
class Indicators:
    """rows: of the table; odd: (place, what) of the file's that are no indicator, or of a kind that is not compared."""

    rows: list[dict[str, Any]]
    odd: list[tuple[str, str]]


def read_indicators(path: Path) -> Indicators:
    """The indicators of a file, each value once. UsageError if it cannot be read or holds none."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"--ioc {path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--ioc {path}: not UTF-8 at byte {error.start}") from error
    if len(data) > MAX_FILE:
        raise UsageError(f"--ioc {path}: more than {MAX_FILE} bytes: divide it")
    reader = _stix if text.lstrip()[:1] in ("{", "[") else _lines
    known: dict[tuple[str, str], dict[str, Any]] = {}
    odd: list[tuple[str, str]] = []
    for place, value, name in reader(text, odd):
        typed = classify(value)
        if typed is None:
            odd.append((f"{path}: {place}", f"no hash, address or domain: {value[:80]}"))
            continue
        row = {"type": typed[0], "value": typed[1], "text": value[:2000], "name": name, "source": f"{path}: {place}"}
        known.setdefault(typed, row)
    if not known:
        why = f"; first of {len(odd)} odd things: {odd[0][0]}: {odd[0][1]}" if odd else ""
        raise UsageError(f"--ioc {path}: no hash, address or domain in it{why}")
    return Indicators(list(known.values()), odd)


def classify(text: str) -> tuple[str, str] | None:
    """(type, value) of one indicator; defanged ones (hxxp, [.]) too. None for what is none."""
    value = text.strip().strip("\"'").replace("[.]", ".").replace("(.)", ".").replace("[:]", ":")
    if _HEX.fullmatch(value) and len(value) in _HASHES:
        return _HASHES[len(value)], value.lower()
    if "://" in value:
        try:
            value = urlsplit(re.sub(r"^hxxp", "http", value, flags=re.IGNORECASE)).hostname or ""
        except ValueError:
            return None
    try:
        return "address", str(ipaddress.ip_address(value))
    except ValueError:
        pass
    try:
        return "network", str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        pass
    head, _, port = value.rpartition(":")
    if head and port.isdigit():
        return classify(head)
    domain = value.lower().rstrip(".")
    return ("domain", domain) if _DOMAIN.fullmatch(domain) else None


def _lines(text: str, odd: list[tuple[str, str]]) -> Iterator[tuple[str, str, str | None]]:
    """A list, one a line, or CSV with a column named as indicators are; # begins a comment."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    if not lines:
        return
    try:
        rows = list(csv.reader(line for _, line in lines))
    except csv.Error as error:
        odd.append(("the file", f"not CSV: {error}"))
        return
    head = [cell.strip().lower() for cell in rows[0]]
    column = next((head.index(name) for name in _NAMES if name in head), None)
    named = next((head.index(name) for name in ("name", "description", "comment") if name in head), None)
    for (number, _), cells in zip(lines, rows, strict=False):
        if column is not None:
            if number == lines[0][0]:
                continue
            if column < len(cells) and cells[column].strip():
                yield (
                    f"line {number}",
                    cells[column],
                    cells[named] if named is not None and named < len(cells) else None,
                )
        elif len(cells) == 1:
            yield f"line {number}", cells[0].split(" #")[0], None
        else:
            values = [cell for cell in cells if classify(cell) is not None]
            yield from ((f"line {number}", value, None) for value in values or cells[:1])


def _stix(text: str, odd: list[tuple[str, str]]) -> Iterator[tuple[str, str, str | None]]:
    """A bundle, a list of objects, or one: patterns of indicators, and observables."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        odd.append(("the file", f"not JSON: {error}"))
        return
    objects = document.get("objects", [document]) if isinstance(document, dict) else document
    for number, each in enumerate(objects if isinstance(objects, list) else []):
        if not isinstance(each, dict):
            continue
        place, name = f"objects[{number}]", each.get("name")
        name = name if isinstance(name, str) else None
        if each.get("type") == "indicator" and isinstance(each.get("pattern"), str) and not each.get("revoked"):
            yield from _pattern(each["pattern"], place, name, odd)
        elif each.get("type") in _SCO:
            hashes = each.get("hashes")
            values = list(hashes.values()) if isinstance(hashes, dict) else [each.get("value")]
            yield from ((place, value, name) for value in values if isinstance(value, str))


def _pattern(
    pattern: str, place: str, name: str | None, odd: list[tuple[str, str]]
) -> Iterable[tuple[str, str, str | None]]:
    comparisons = _COMPARISON.findall(pattern[:100_000])
    if not comparisons:
        odd.append((place, f"a pattern that is not understood: {pattern[:80]}"))
    for kind, path, sign, value in comparisons:
        if sign == "=" and kind in _SCO and (kind != "file" or path.startswith("hashes")):
            yield place, re.sub(r"\\(.)", r"\1", value), name
        else:
            odd.append((place, f"a comparison that is not made: {kind}:{path} {sign}"))
