# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
import threading
import time

import pytest

from memir.acquire.pump import AHEAD, BLOCK, Pump
from memir.errors import StorageError


def test_every_byte_in_order() -> None:
    data, got = random.Random(1).randbytes(5 * BLOCK + 123), bytearray()
    pump = Pump(got.extend)
    at, rng = 0, random.Random(2)
    while at < len(data):
        step = rng.randrange(1, 200_000)
        pump.put(data[at : at + step])
        at += step
    pump.finish()
    assert got == data


def test_what_was_received_is_stored_when_it_stops_early() -> None:
    got = bytearray()
    pump = Pump(got.extend)
    pump.put(b"x" * 10)
    pump.stop()
    pump.stop()
    assert got == b"x" * 10


def test_a_slow_sink_holds_back_the_source() -> None:
    gate, taken = threading.Event(), 0

    def store(block: bytes) -> None:
        gate.wait(10)

    pump = Pump(store)

    def feed() -> None:
        nonlocal taken
        for _ in range(3 * AHEAD):
            pump.put(bytes(BLOCK))
            taken += 1

    thread = threading.Thread(target=feed)
    thread.start()
    time.sleep(0.3)
    assert taken <= AHEAD + 2
    gate.set()
    thread.join()
    pump.finish()
    assert taken == 3 * AHEAD


def test_the_sink_s_error_reaches_the_source_and_nothing_hangs() -> None:
    def store(block: bytes) -> None:
        raise StorageError("disk full")

    pump = Pump(store)
    with pytest.raises(StorageError, match="disk full"):
        for _ in range(100):
            pump.put(bytes(BLOCK))
    pump.stop()
    other = Pump(store)
    other.put(b"x")
    with pytest.raises(StorageError):
        other.finish()
