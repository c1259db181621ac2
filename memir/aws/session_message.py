# SPDX-License-Identifier: Apache-2.0
"""Messages of a Session Manager data channel, as ECS Exec and `aws ssm start-session` use it.

Big-endian: header length (116), message type (32 bytes, padded), schema version, created (ms since 1970), sequence
number, flags, id (a UUID with its halves changed over), SHA-256 of the payload, payload type, payload length, payload.
Source: aws/session-manager-plugin, src/message/clientmessage.go and messageparser.go (Apache-2.0).
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from construct import Bytes, ConstructError, Int32ub, Int64sb, Int64ub, Struct

from memir.errors import ConnectError

INPUT, OUTPUT, ACKNOWLEDGE, CLOSED = "input_stream_data", "output_stream_data", "acknowledge", "channel_closed"
PLAIN = ("start_publication", "pause_publication")
"""Without a digest that is to be checked."""
DATA, HANDSHAKE_REQUEST, HANDSHAKE_RESPONSE, HANDSHAKE_COMPLETE, FLAG, STDERR = 1, 5, 6, 7, 10, 11
TERMINATE = b"\0\0\0\2"
"""Payload of a FLAG: end the session."""
HEADER_LENGTH = 116
MAX_MESSAGE = 1 << 20
_HEADER = Struct(
    "header_length" / Int32ub, "kind" / Bytes(32), "version" / Int32ub, "created" / Int64ub, "sequence" / Int64sb,
    "flags" / Int64ub, "id" / Bytes(16), "digest" / Bytes(32), "payload_type" / Int32ub, "payload_length" / Int32ub,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """One message. kind: INPUT, OUTPUT ...; payload_type: DATA ...; created: ms since 1970."""

    kind: str
    payload: bytes = b""
    payload_type: int = 0
    sequence: int = 0
    flags: int = 0
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    created: int = field(default_factory=lambda: int(time.time() * 1000))
    version: int = 1


def pack(message: Message) -> bytes:
    """As it is sent."""
    own = message.id.bytes
    header: bytes = _HEADER.build({
        "header_length": HEADER_LENGTH, "kind": message.kind.encode().ljust(32), "version": message.version,
        "created": message.created, "sequence": message.sequence, "flags": message.flags, "id": own[8:] + own[:8],
        "digest": hashlib.sha256(message.payload).digest(), "payload_type": message.payload_type,
        "payload_length": len(message.payload),
    })  # fmt: skip
    return header + message.payload


def unpack(data: bytes) -> Message:
    """One message as it came. ConnectError for what is none: lengths and digest are checked."""
    if len(data) > MAX_MESSAGE:
        raise ConnectError(f"a message of the session has {len(data):,} bytes, {MAX_MESSAGE:,} are possible")
    try:
        head = _HEADER.parse(data)
    except ConstructError as error:
        raise ConnectError(f"a message of the session is cut: {len(data)} bytes") from error
    kind = head.kind.strip(b"\0 ").decode("ascii", "backslashreplace")
    if head.header_length != HEADER_LENGTH:
        raise ConnectError(f"a message of the session ({kind!r}) has a header of {head.header_length} bytes, not 116")
    payload = data[HEADER_LENGTH + 4 :]
    if kind not in PLAIN:
        if len(payload) != head.payload_length:
            raise ConnectError(f"message {kind!r} of the session has {len(payload)} bytes, says {head.payload_length}")
        if payload and hashlib.sha256(payload).digest() != head.digest:
            raise ConnectError(f"message {kind!r} of the session does not fit its SHA-256")
    own = uuid.UUID(bytes=head.id[8:] + head.id[:8])
    return Message(kind, payload, head.payload_type, head.sequence, head.flags, own, head.created, head.version)


def acknowledge(message: Message) -> Message:
    """The answer that a message came."""
    content = {
        "AcknowledgedMessageType": message.kind, "AcknowledgedMessageId": str(message.id),
        "AcknowledgedMessageSequenceNumber": message.sequence, "IsSequentialMessage": True,
    }  # fmt: skip
    return Message(ACKNOWLEDGE, json.dumps(content).encode(), flags=3)


def content_of(message: Message) -> dict[str, Any]:
    """A payload that is a JSON object. ConnectError for what is none."""
    try:
        value = json.loads(message.payload)
    except (ValueError, RecursionError) as error:
        raise ConnectError(f"message {message.kind!r} of the session has no JSON: {message.payload[:60]!r}") from error
    if not isinstance(value, dict):
        raise ConnectError(f"message {message.kind!r} of the session has no object: {message.payload[:60]!r}")
    return value
