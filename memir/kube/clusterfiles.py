# SPDX-License-Identifier: Apache-2.0
"""Files that hold what the Kubernetes API said, in the shapes that people save them in.

`kubectl get ... -o json` or `-o yaml`, one object, a List or several after each other, a line each (ndjson), with
warnings of kubectl before or after, in UTF-8 or UTF-16 (Windows PowerShell's `>`), packed with gzip; folders of them:
`kubectl cluster-info dump --output-directory`, `oc adm must-gather`, memir's own evidence.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memir.errors import ClusterError, EvidenceError
from memir.kube.tornjson import without_lone_surrogates

MAX_FILE = 1 << 30  # bounds what a small gzip file unpacks to in memory
MAX_YAML = 128 << 20
"""YAML takes some 30 times as long to read as JSON: a file above this is hours."""
MAX_FILES = 100_000  # ends a folder that was given by mistake, as /
SUFFIXES = (".json", ".ndjson", ".jsonl", ".yaml", ".yml")

_GZIP = b"\x1f\x8b"
_TAR = (257, b"ustar")
_START = re.compile(r"^[ \t]*[{\[]", re.MULTILINE)
_SPACE = re.compile(r"\s*")
_NOT_JSON = (
    (re.compile(r"\s*(NAMESPACE|NAME) +[A-Z]"), "it is kubectl's table for people: save it with -o json"),
    (re.compile(r"\s*<"), "it is HTML, as a proxy or a login page answers"),
)
_YAML = re.compile(r"\A(?:#[^\n]*\n|---[^\n]*\n|\s)*(?:apiVersion|kind|items|metadata):", re.MULTILINE)
# `kubectl cluster-info dump` on standard output puts logs between objects; a pod writes what it likes into its log.
_LOGS = re.compile(
    r"^==== START logs for container .*? ====$.*?(?:^==== END logs for container .*? ====$|\Z)",
    re.MULTILINE | re.DOTALL,
)


def cluster_files(path: Path) -> list[Path]:
    """The file itself, or every file of a folder whose name is that of JSON or YAML, sorted. Links are not followed.

    Raises ClusterError if the folder cannot be read or holds more than MAX_FILES.
    """
    if not path.is_dir():
        return [path]
    files: list[Path] = []
    try:
        for file in path.rglob("*"):
            name = file.name.lower().removesuffix(".gz")
            if name.endswith(SUFFIXES) and not file.is_symlink() and file.is_file():
                files.append(file)
            if len(files) > MAX_FILES:
                raise ClusterError(f"{path}: more than {MAX_FILES} files; give the folder of one cluster")
    except OSError as error:
        raise ClusterError(f"{path}: {error.strerror or error}") from error
    return sorted(files)


def documents(file: Path) -> tuple[list[tuple[str, Any]], list[tuple[str, str]]]:
    """(place, JSON value) of each document in a file, and (place, why) of what in it is none.

    The place of the only document is "", of others `document[N].`. Raises ClusterError for a file that cannot be read,
    is too large, or holds not one whole document.
    """
    text = _text(_read(file), file)
    try:
        return [("", without_lone_surrogates(json.loads(text), text))], []
    except json.JSONDecodeError as error:
        first = error
    except (RecursionError, ValueError) as error:
        raise ClusterError(f"{file}: not JSON that an API server writes: {error}") from error
    if _YAML.match(text):
        return _numbered(list(yaml_documents(text, str(file)))), []
    values, odd = _stream(_LOGS.sub("", text))
    if not values:
        where = f"line {first.lineno} column {first.colno}"
        what = next((words for start, words in _NOT_JSON if start.match(text)), "was it saved whole?")
        raise ClusterError(f"{file}: not JSON at {where}: {first.msg}; {what}")
    return _numbered(values), [(f"{file}: line {line}", why) for line, why in odd]


def _numbered(values: list[Any]) -> list[tuple[str, Any]]:
    return [("" if len(values) == 1 else f"document[{number}].", value) for number, value in enumerate(values)]


def _read(file: Path) -> bytes:
    """The file's bytes, unpacked; no more than MAX_FILE of them."""
    try:
        with file.open("rb") as opened:  # a pipe (`<(kubectl ...)`) and a device have no size
            data = opened.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            size = file.stat().st_size
            raise ClusterError(f"{file}: {size or 'endless'} bytes, more than {MAX_FILE}; save it by namespace")
    except OSError as error:
        raise ClusterError(f"{file}: {error.strerror or error}") from error
    if data.startswith(_GZIP):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            data = unpacker.decompress(data, MAX_FILE)
        except zlib.error as error:
            raise ClusterError(f"{file}: not whole gzip: {error}") from error
        if not unpacker.eof:
            why = f"more than {MAX_FILE} bytes when unpacked" if unpacker.unconsumed_tail else "its end is missing"
            raise ClusterError(f"{file}: gzip: {why}")
    if data[_TAR[0] : _TAR[0] + len(_TAR[1])] == _TAR[1]:
        raise ClusterError(f"{file}: a tar archive: unpack it (tar -xf) and give the folder")
    return data


def _text(data: bytes, file: Path) -> str:
    """Bytes as text: UTF-16 by its mark or by the zeros that ASCII has in it, else UTF-8."""
    wide = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(data[:2])
    if wide is None and len(data) > 1 and 0 in data[:2]:
        wide = "utf-16-le" if data[1] == 0 else "utf-16-be"
    try:
        return data.decode(wide or "utf-8-sig").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise ClusterError(f"{file}: not {'UTF-16' if wide else 'UTF-8'} at byte {error.start}") from error


def _stream(text: str) -> tuple[list[Any], list[tuple[int, str]]]:
    """Every JSON value that begins on a line of its own, and (line, why) of what stands between them.

    Text that does not parse is not read again and again: the work on such is bounded by the length of the text.
    """
    decoder = json.JSONDecoder()
    values: list[Any] = []
    odd: list[tuple[int, str]] = []
    offset, wasted, line, counted = 0, 0, 1, 0
    while offset < len(text):
        space = _SPACE.match(text, offset)
        offset = space.end() if space else offset
        start = _START.search(text, offset)
        begin = start.end() - 1 if start else len(text)
        line, counted = line + text.count("\n", counted, offset), offset
        if text[offset:begin].strip():
            odd.append((line, "text that is not JSON"))
        if start is None:
            break
        line, counted = line + text.count("\n", counted, begin), begin
        try:
            value, offset = decoder.raw_decode(text, begin)
            values.append(without_lone_surrogates(value, text[begin:offset]))
        except (ValueError, RecursionError) as error:
            failed = error.pos if isinstance(error, json.JSONDecodeError) else begin + 4096
            wasted += failed - begin
            odd.append((line, "JSON that is not whole"))
            end = text.find("\n", begin)
            offset = end + 1 if end >= 0 else len(text)
            if wasted > 2 * len(text) + (1 << 20) or len(odd) > MAX_FILES:
                odd.append((line, "the rest was not read: too much of it is not JSON"))
                break
    return values, odd


def yaml_documents(text: str, name: str, error: type[EvidenceError] = ClusterError) -> Iterator[Any]:
    """Documents of YAML as the API's tools write it: no tags, no anchors (which can blow up), times stay text.

    name: of the file. Raises `error`.
    """
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # which one is known at run time
        """Without times: the API's are text in JSON too."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    if len(text) > MAX_YAML:
        raise error(f"{name}: {len(text)} characters of YAML, more than {MAX_YAML}; save it with -o json")
    try:
        for event in yaml.parse(text, Loader=Loader):
            if isinstance(event, yaml.AliasEvent):
                raise error(f"{name}: YAML with aliases, which kubectl does not write; save it with -o json")
        for value in yaml.load_all(text, Loader=Loader):  # a safe loader's child
            if value is not None:
                yield without_lone_surrogates(value, text)
    except (yaml.YAMLError, RecursionError, ValueError) as reason:
        line = " ".join(str(reason).split())
        raise error(f"{name}: not YAML that an API server's tools write: {line[:200]}") from reason
