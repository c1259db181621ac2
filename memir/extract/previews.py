# SPDX-License-Identifier: Apache-2.0
"""The first page in RAM of files that containers changed, as text or hex, for a report: secrets masked, holes told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memir.kernel.filemap import Content, contents
from memir.kube.secret_names import Match, kind_of_name, secrets_in
from memir.kube.secrets import mask

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.kube.secrets import Secrets
    from memir.node import Node

SHOWN = 4096
"""Bytes of a file that are shown: a page, which is in RAM whole or not at all."""
MOST = 2000
"""Files that are shown."""
_HOLES = 6
"""Ranges of what is not in RAM that are named; the rest is counted."""
_TEXT = 0.9
"""Part of the characters that must be printable where a page is shown as text."""
# `name: value`, `name = value`, `"name": "value"`: files say it so, command lines and environments do not
_SETTING = re.compile(
    r"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{1,100}+)[\"']?+[ \t]{0,8}+[:=][ \t]{0,8}+[\"']?+"
    r"(?P<value>[^\s\"',;{}\[\]]{1,4000}+)"
)
_CRYPT = re.compile(r"\$(?:1|2[abxy]|5|6|y|gy|7)\$[0-9A-Za-z./$=,]{8,300}+")
# a page may begin within a key
_ENDED = re.compile(r"\A(?:(?!-----BEGIN)[\s\S]){0,8000}-----END [A-Z ]{0,30}PRIVATE KEY-----")


@dataclass(frozen=True)
class Preview:
    """What is shown of a file. row: its number in the table inodes; offset, length: of what is shown, bytes.

    text or hex has it, secrets masked (`xx` in hex); both are None where nothing is in RAM, and `why` says so. holes:
    which bytes of the file are not in RAM, in words; None if all of it is there.
    """

    row: int
    size: int
    offset: int | None
    length: int
    text: str | None
    hex: str | None
    holes: str | None
    why: str | None


_DOCS = {
    "row": "number of the file's row in the table inodes, from 0",
    "size": "bytes of the file",
    "offset": "where in the file that begins which is shown",
    "length": "bytes that are shown",
    "text": "what is shown, if it is text; secrets masked, other bytes as backslash escapes",
    "hex": "what is shown, if it is not text, in hex digits; xx where a secret is",
    "holes": "bytes of the file that are not in RAM; null if all are",
    "why": "why nothing is shown",
}


def previews(node: Node, inodes: pa.Table, proved: Iterable[int] = ()) -> pa.Table:
    """A table of previews of regular files that a container changed or that have no name any more, and proved ones.

    inodes: the table of this image's case. proved: rows of it that findings rest on, which come first. The node's
    secrets mask; an inode that is another file in the image than in the table gives `why`.
    """
    rows = _chosen(inodes, list(proved))
    kernel, secrets = node.source.kernel, node.source.secrets
    columns = inodes.select(["address", "inode", "size"]).take(rows).to_pydict()
    address = np.array([value or 0 for value in columns["address"]], np.uint64)
    number, read = kernel.try_read(address, "inode", "i_ino")
    same = read & (number == np.array([value or 0 for value in columns["inode"]], np.uint64))
    size = np.array([value or 0 for value in columns["size"]], np.int64)
    known = np.flatnonzero(same)
    content = dict(
        zip(
            known.tolist(),
            contents(kernel, kernel.embedded(address[known], "inode", "i_data"), size[known]),
            strict=True,
        )
    )
    made = []
    for place, row in enumerate(rows):
        if place not in content:
            made.append(Preview(row, int(size[place]), None, 0, None, None, None, "the image has another file there"))
            continue
        _, data = next(content[place].chunks(kernel), (0, b""))
        made.append(preview(row, content[place], data[:SHOWN], secrets))
    return _table(made)


def preview(row: int, content: Content, data: bytes, secrets: Secrets) -> Preview:
    """A file's preview. data: the beginning of its first run of bytes in RAM, at most SHOWN."""
    holes = _holes(content)
    if not data:
        why = "the file is empty" if content.size == 0 else "nothing of it is in RAM"
        return Preview(row, content.size, None, 0, None, None, holes if content.size else None, why)
    offset = content.spans()[0][0]
    text = data.decode("utf-8", "backslashreplace")
    if _is_text(data, text):
        return Preview(row, content.size, offset, len(data), masked_text(text, secrets), None, holes, None)
    return Preview(row, content.size, offset, len(data), None, masked_hex(data), holes, None)


def masked_text(text: str, secrets: Secrets) -> str:
    """A text of a file with its secrets masked, those too that only configuration files write so."""
    parts, last = [], 0
    for match in _hidden(text):
        secret = secrets.add(match.kind, match.name, text[match.start : match.end])
        parts += [text[last : match.start], mask(secret)]
        last = match.end
    return "".join([*parts, text[last:]])


def masked_hex(data: bytes) -> str:
    """Bytes as two hex digits each, `xx` where a secret is."""
    digits = [f"{byte:02x}" for byte in data]
    for match in _hidden(data.decode("latin-1")):
        digits[match.start : match.end] = ["xx"] * (match.end - match.start)
    return "".join(digits)


def _hidden(text: str) -> Iterator[Match]:
    """Where secrets are, ascending and not overlapping."""
    matches = list(secrets_in(text))
    for setting in _SETTING.finditer(text):
        kind = kind_of_name(setting["name"])
        if kind is not None and not setting["value"].startswith(("/", "$", "***")) and len(setting["value"]) > 3:
            matches.append(Match(kind, setting["name"], *setting.span("value")))
    matches += [Match("password", None, *each.span()) for each in _CRYPT.finditer(text)]
    matches += [Match("private key", None, *each.span()) for each in _ENDED.finditer(text)]
    last = 0
    for match in sorted(matches, key=lambda match: (match.start, -match.end)):
        if match.start >= last:
            yield match
        elif match.end > last:
            yield Match(match.kind, match.name, last, match.end)
        last = max(last, match.end)


def _is_text(data: bytes, text: str) -> bool:
    """No NUL, hardly a byte that is no text."""
    if b"\0" in data:
        return False
    odd = sum(byte < 32 and byte not in (9, 10, 12, 13, 27) for byte in data) + text.count("\\x")
    return odd <= (1 - _TEXT) * len(data)


def _holes(content: Content) -> str | None:
    holes = content.holes()
    if not holes:
        return None
    named = ", ".join(f"{start:,} to {end - 1:,}" for start, end in holes[:_HOLES])
    more = f" and {len(holes) - _HOLES:,} more ranges" if len(holes) > _HOLES else ""
    lacking = sum(end - start for start, end in holes)
    return f"{lacking:,} of {content.size:,} bytes are not in RAM: {named}{more}"


def _chosen(inodes: pa.Table, proved: list[int]) -> list[int]:
    """Rows of files to show: those that findings rest on, then changes of images, then files without a name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def itself(column: Any) -> Any:
        return column

    def mask(column: str, answer: Any) -> NDArray[np.bool_]:
        """Of each row whether the column says so; null is no."""
        return np.array(answer(inodes[column]).fill_null(False), bool)

    regular = mask("kind", lambda column: pc.is_in(column, pa.array(["regular"]))) & ~mask("freed", itself)
    gone = mask("deleted", itself) & (mask("container_id", pc.is_valid) | mask("pod_uid", pc.is_valid))
    rows = [row for row in proved if 0 <= row < inodes.num_rows and regular[row]]
    for chosen in (mask("change", pc.is_valid), gone):
        rows += np.flatnonzero(regular & chosen).tolist()
    return list(dict.fromkeys(rows))[:MOST]


def _table(made: list[Preview]) -> pa.Table:
    import pyarrow as pa

    types = {"row": pa.int32(), "size": pa.int64(), "offset": pa.int64(), "length": pa.int32()}
    names = [field.name for field in fields(Preview)]
    schema = pa.schema(
        [pa.field(name, types.get(name, pa.string()), metadata={"doc": _DOCS[name]}) for name in names]
    )
    rows = [asdict(each) for each in made]
    columns = [pa.array([row[name] for row in rows], schema.field(name).type) for name in names]
    return pa.table(columns, schema=schema)
