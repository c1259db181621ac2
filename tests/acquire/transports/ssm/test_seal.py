# SPDX-License-Identifier: Apache-2.0
"""What is sealed here is opened with openssl, as the node does."""

from __future__ import annotations

import base64
import gzip
import random
import subprocess
from pathlib import Path

import pytest

from memir.acquire.transports.ssm.seal import seal, unpack
from memir.errors import NodeError


def test_only_the_nodes_key_opens_it(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=node", "-keyout", "key.pem",
         "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    secret = b"a presigned URL\r\n\0\xff" * 1000
    sealed = seal(secret, (tmp_path / "cert.pem").read_bytes())
    assert b"presigned" not in sealed
    opened = subprocess.run(
        ["openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", "key.pem"], cwd=tmp_path, input=sealed,
        check=True, capture_output=True,
    )  # fmt: skip
    assert opened.stdout == secret
    with pytest.raises(NodeError, match=r"certificate cannot be used .*start the run again"):
        seal(secret, b"no certificate")


def test_what_the_node_packed() -> None:
    assert unpack(base64.b64encode(gzip.compress(b"words")).decode(), "answer") == b"words"


def test_hostile_answers_are_refused_by_name() -> None:
    whole = gzip.compress(b"words" * 100)
    huge = gzip.compress(bytes((8 << 20) + 1))
    for data in (whole[:-9], huge):
        with pytest.raises(NodeError, match="the node's answer is cut or larger than 8 MiB"):
            unpack(base64.b64encode(data).decode(), "answer")
    with pytest.raises(NodeError, match="the node's answer is not readable"):
        unpack("no base64!", "answer")
    rng = random.Random(6)
    for _ in range(300):
        bent = bytearray(whole)
        bent[rng.randrange(len(bent))] = rng.randrange(256)
        try:
            assert len(unpack(base64.b64encode(bytes(bent)).decode(), "answer")) <= 8 << 20
        except NodeError as error:
            assert str(error).startswith("the node's answer is ")
