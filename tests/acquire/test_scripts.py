# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from memir.acquire.facts import NodeRun
from memir.acquire.node_files import node_text
from memir.acquire.scripts import (
    RELAY,
    RELAY_HASHED,
    abort_script,
    attach_script,
    capture_script,
    cleanup_script,
    facts_script,
    hash_script,
    parse_pairs,
    parse_receipt,
    relay_python,
    setup_script,
    touch_script,
)  # fmt: skip
from memir.acquire.transports.base import Result
from tests.fuzz import cases

PYTHON, PYTHON_PLAIN = relay_python(True), relay_python(False)
CASES = cases(300)


def line(**fields: object) -> bytes:
    return b"noise\nmemir-receipt " + json.dumps(fields).encode() + b"\n"


def test_a_script_says_what_the_helper_is_called_with(tmp_path: Path) -> None:
    path = tmp_path / "it's"
    path.write_bytes(b"abc")
    assert facts_script().helper == ("facts",)
    assert hash_script(str(path)).helper == ("sha256", str(path))
    assert touch_script(str(path)).helper == ("touch", str(path))
    capture = capture_script(
        NodeRun("r", "/dev/shm/.memir-r"), "avml --source /proc/kcore 'a b'", "cat", nice=3, hashed=True
    )
    words = ("capture", "/dev/shm/.memir-r", "3", "1", "avml", "--source", "/proc/kcore", "a b")
    assert capture.helper == words
    done = subprocess.run(["sh", "-c", hash_script(str(path))], capture_output=True, text=True, check=True)
    assert done.stdout[:64] == hashlib.sha256(b"abc").hexdigest()


def test_the_last_receipt_counts() -> None:
    log = base64.b64encode(b"words").decode()
    receipt = parse_receipt(line(tool=1) + line(tool=0, consumer=0, sha256="a" * 64, log=log, extra={"size": 7}))
    assert receipt is not None
    assert (receipt.tool, receipt.consumer, receipt.sha256, receipt.size, receipt.log) == (0, 0, "a" * 64, 7, "words")


@pytest.mark.parametrize("error", [b"", b"memir-receipt", b'memir-receipt {"tool":0', b"memir-receipt []\n"])
def test_no_whole_receipt_is_none(error: bytes) -> None:
    assert parse_receipt(error) is None
    assert parse_receipt(line(tool=0, consumer=0)[:-1]) is None


@pytest.mark.parametrize("value", [True, "0", None, 0.0, [0], {}])
def test_a_wrong_type_is_not_zero(value: object) -> None:
    receipt = parse_receipt(line(tool=value, consumer=value, sha256=value, log=value, extra=value))
    assert receipt is not None
    assert (receipt.tool, receipt.consumer, receipt.sha256, receipt.log) == (None, None, "", "")


def test_hostile_receipts_never_raise() -> None:
    rng = random.Random(1)
    whole = line(tool=0, consumer=0, sha256="a" * 64, log="QUJD", extra={"size": 3})
    for _ in range(CASES):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        receipt = parse_receipt(bytes(data))
        assert receipt is None or receipt.tool is None or isinstance(receipt.tool, int)
    assert parse_receipt(b"memir-receipt " + b"[" * 100_000 + b"\n") is None


def test_pairs() -> None:
    assert parse_pairs(Result(0, b"x\ndir=/a mounted=1 stale=\n")) == {"dir": "/a", "mounted": "1", "stale": ""}
    assert parse_pairs(Result(0, b"")) == {}


def test_words_from_outside_are_quoted() -> None:
    run = NodeRun("r", "/dev/shm/.memir-r'; touch /tmp/x; '")
    script = capture_script(run, "tool $(id)", "cat", nice=3)
    assert "DIR='/dev/shm/.memir-r'\"'\"'; touch /tmp/x; '\"'\"''\n" in script
    assert "TOOL='tool $(id)'\n" in script


def capture(tmp_path: object, tool: str, consumer: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        ["/bin/sh", "-c", capture_script(NodeRun("r", str(tmp_path)), tool, consumer)],
        capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("tool", "consumer", "code", "out", "tool_code", "consumer_code"),
    [
        ("printf abc > stream", "cat", 0, b"abc", 0, 0),
        ("echo no >&2; exit 3", "cat", 1, b"", 3, 0),
        ("printf abc > stream; exit 1", "cat", 1, b"abc", 1, 0),
        ("printf abc > stream", "cat; exit 9", 1, b"abc", 0, 9),
        ("printf abc > stream", "false", 1, b"", None, 1),
        ("yes > stream", "head -c 10", 1, b"y\ny\ny\ny\ny\n", None, 0),
        ("kill -s KILL $$", "cat", 1, b"", None, 0),
    ],
)
def test_neither_side_waits_for_a_dead_one(
    tmp_path: object, tool: str, consumer: str, code: int, out: bytes, tool_code: int | None, consumer_code: int | None
) -> None:
    status, got, error = capture(tmp_path, tool, consumer)
    receipt = parse_receipt(error)
    assert receipt is not None
    assert (status, got, receipt.consumer) == (code, out, consumer_code)
    if tool_code is not None:
        assert receipt.tool == tool_code
    if tool.startswith(("yes", "kill")):
        assert receipt.tool != 0


@pytest.mark.parametrize("consumer", [RELAY, RELAY_HASHED, PYTHON, PYTHON_PLAIN])
def test_relays_pass_every_byte_and_say_its_hash(tmp_path: Path, consumer: str) -> None:
    data = random.Random(9).randbytes(3_000_001)
    (tmp_path / "source").write_bytes(data)
    script = capture_script(
        NodeRun("r", str(tmp_path)), "cat source > stream", consumer, node_hash=consumer == RELAY_HASHED
    )
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, timeout=20, check=True)
    receipt = parse_receipt(done.stderr)
    assert receipt is not None
    assert done.stdout == data
    assert (receipt.tool, receipt.consumer) == (0, 0)
    assert receipt.sha256 == ("" if consumer in {RELAY, PYTHON_PLAIN} else hashlib.sha256(data).hexdigest())
    assert receipt.size == (len(data) if "python3" in consumer else None)


@pytest.mark.parametrize("consumer", [RELAY, RELAY_HASHED, PYTHON, PYTHON_PLAIN])
def test_relays_fail_when_nobody_reads(tmp_path: Path, consumer: str) -> None:
    script = capture_script(NodeRun("r", str(tmp_path)), "yes > stream", consumer, node_hash=consumer == RELAY_HASHED)
    process = subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    error = process.stderr.read()
    process.wait(20)
    receipt = parse_receipt(error)
    assert receipt is not None
    assert process.returncode != 0
    assert receipt.tool != 0
    assert receipt.consumer != 0


def test_setup_and_cleanup_are_said_to_the_helper_in_numbers() -> None:
    setup = setup_script("r1", grace=30, poll=5, need=4096)
    assert setup.helper == ("setup", "r1", "30", "5")
    assert setup.startswith("RUN=r1\nGRACE=30\nPOLL=5\nNEED=4096\nWATCHDOG=")
    assert node_text("setup.sh") in setup
    cleanup = cleanup_script("r1")
    assert cleanup.helper == ("cleanup", "r1")
    assert cleanup.startswith("RUN=r1\n")
    assert node_text("remove.sh") in cleanup


def test_attach_waits_no_longer_than_it_is_told(tmp_path: Path) -> None:
    run = NodeRun("r", str(tmp_path))
    for name in ("consumer", "tool"):
        # this test's own process group is alive all the time
        (tmp_path / f"{name}.pid").write_text(str(os.getpgrp()))
    script = attach_script(run, 0)
    assert subprocess.run(["/bin/sh", "-c", script], check=False).returncode == 75
    assert (tmp_path / "alive").exists()


def test_abort_stops_the_groups_and_nothing_else(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "30"], start_new_session=True)
    (tmp_path / "groups").write_text(f"{sleeper.pid}\n")
    script = abort_script(NodeRun("r", str(tmp_path)))
    assert script.helper == ("abort", str(tmp_path))
    assert subprocess.run(["/bin/sh", "-c", script], check=False).returncode == 0
    assert sleeper.wait(10) == -15
