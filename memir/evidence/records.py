# SPDX-License-Identifier: Apache-2.0
"""What an acquisition records of its image: parts, the node's receipt, what was stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Part:
    """One stored part.

    Number from 1, offset and size in bytes, SHA-256 (hex) by who produced it, store's ETag.
    """

    number: int
    offset: int
    size: int
    sha256: str
    etag: str = ""


@dataclass(frozen=True, slots=True)
class NodeReceipt:
    """The node's last word.

    Sha256 and size: of the whole stream as the node saw it; "" and None if not computed.
    """

    tool: int | None
    consumer: int | None
    sha256: str = ""
    size: int | None = None
    log: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the sink holds in the end.

    where: path or s3:// address of the image. complete: the sink's own opinion (all parts there, hashes
    equal). missing: what is not there, in words; resume: how to go on. receipt: the store's own statements
    (version id, checksum, Object Lock mode and retention date, upload id), written to the manifest as they
    are.
    """

    where: str
    size: int
    sha256: str
    parts: tuple[Part, ...]
    complete: bool
    missing: tuple[str, ...] = ()
    resume: str = ""
    receipt: Mapping[str, object] = field(default_factory=dict)
