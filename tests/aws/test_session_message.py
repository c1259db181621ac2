# SPDX-License-Identifier: Apache-2.0
"""Messages of a data channel: their bytes, written down by hand from the plugin's source; what is none."""

from __future__ import annotations

import hashlib
import random
import struct
import uuid

import pytest

from memir.aws.session_message import MAX_MESSAGE, OUTPUT, Message, acknowledge, content_of, pack, unpack
from memir.errors import ConnectError

IDENT = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
BYTES = b"".join([
    b"\0\0\0\x74", b"output_stream_data              ", b"\0\0\0\1", b"\0\0\1\x9a\0\0\0\0",
    b"\0\0\0\0\0\0\0\5", bytes(8), bytes.fromhex("8899aabbccddeeff0011223344556677"),
    hashlib.sha256(b"hello").digest(), b"\0\0\0\1", b"\0\0\0\5hello",
])  # fmt: skip


def test_the_bytes_of_a_message() -> None:
    message = Message(OUTPUT, b"hello", 1, 5, id=IDENT, created=0x19A00000000)
    assert pack(message) == BYTES
    assert unpack(BYTES) == message
    assert unpack(BYTES.replace(b"data              ", b"data" + bytes(14))) == message, "padded with zeros"
    assert content_of(acknowledge(message)) == {
        "AcknowledgedMessageType": "output_stream_data", "AcknowledgedMessageId": str(IDENT),
        "AcknowledgedMessageSequenceNumber": 5, "IsSequentialMessage": True,
    }  # fmt: skip
    assert (acknowledge(message).kind, acknowledge(message).flags) == ("acknowledge", 3)


def test_what_is_no_message() -> None:
    for data, words in (
        (b"", "is cut: 0 bytes"), (BYTES[:119], "is cut"), (BYTES[:-1], "has 4 bytes, says 5"),
        (BYTES + b"x", "has 6 bytes, says 5"), (BYTES[:-1] + b"p", "does not fit its SHA-256"),
        (struct.pack(">I", 117) + BYTES[4:], "a header of 117 bytes"), (bytes(MAX_MESSAGE + 1), "are possible"),
    ):  # fmt: skip
        with pytest.raises(ConnectError, match=words):
            unpack(data)
    for payload in (b"{", b"[]", b"\xff", b"[" * 100_000):
        with pytest.raises(ConnectError, match=r"has no (JSON|object)"):
            content_of(Message(OUTPUT, payload))
    paused = pack(Message("pause_publication", b"x"))
    assert unpack(paused[:-1] + b"y").kind == "pause_publication"


def test_random_bytes_are_a_message_or_a_clear_refusal() -> None:
    chance = random.Random(13)
    refused = 0
    for _ in range(2000):
        data = bytearray(BYTES)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            assert unpack(bytes(data[: chance.randrange(100, 130)])).payload in (b"hello", b"")
        except ConnectError:
            refused += 1
    assert 1500 < refused < 2000
