# SPDX-License-Identifier: Apache-2.0
"""Random cuts on the way to S3: never a false success, never a lost part, nothing left on the node.

Each run's seed is its number. With CI set there are more of them: with test_cuts.py and test_ssm_faults.py over 500.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.node_files import node_script
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.local import LocalTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection
from memir.errors import RemoteError
from tests.acquire.rigs.drive import MIB, data_of, digest, drive
from tests.acquire.rigs.s3shim import Request, Shim

RUNS = 60 if os.environ.get("CI") else 12
FIVE = 5 * MIB
SOURCE = data_of(2 * FIVE + 4321, seed=7)


def cuts(seed: int) -> Callable[[Request], int | None]:
    """A plan of cuts: in a part's body, before an answer, on the controller's own requests."""
    rng = random.Random(seed)
    parts, control = rng.choice(((0.2, 0.0), (0.5, 0.05), (0.8, 0.2), (0.1, 0.5), (0.95, 0.0)))

    def cut(request: Request) -> int | None:
        part = "partNumber" in request.query
        if rng.random() >= (parts if part else control):
            return None
        if rng.random() < 0.4:
            return -1
        length = int(request.headers.get("content-length", "0") or 0)
        return rng.randrange(length) if length else 0

    return cut


def strays(folder: Path) -> list[str]:
    """Processes that work in the run's directory."""
    found = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
    return found.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize("uploader", ["python", "bash"])
def test_random_cuts(s3: Any, bucket: str, shim: Shim, tmp_path: Path, uploader: str) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(RUNS if uploader == "python" else max(1, RUNS // 3)):
        name = f"{uploader}-{seed}"
        folder = tmp_path / name
        folder.mkdir()
        shim.cut = cuts(seed)
        options = S3Options(part_size=FIVE, backoff=0.01, attempts=5, patience=10,
                            connection=Connection(shim.region, shim.endpoint))  # fmt: skip
        sink = S3DirectSink(S3Address(bucket, "f"), options, s3)
        sink.uploader = uploader
        stored = None
        parts: tuple[Any, ...] = ()
        try:
            got = drive(sink, LocalTransport(), folder, SOURCE, name=name)
            stored, parts = got.stored, got.parts
        except RemoteError:
            kinds["refused before it began"] += 1
        finally:
            shim.cut = None
        there = objects(s3, bucket, f"f/{name}")
        if stored is not None and stored.complete:
            kinds["complete"] += 1
            assert there == digest(SOURCE), name
            assert stored.sha256 == digest(SOURCE), name
            assert stored.missing == ()
        elif stored is not None:
            kinds["partial"] += 1
            assert stored.missing, name
            # an answer to Complete may have been lost: then the object is whole, and still not called so
            assert there in ("", digest(SOURCE)), name
            if not there and parts:
                held = sink.held()
                for part in parts:
                    assert held[part.number].size == part.size, (name, part)
        remove = node_script("remove", DIR=str(folder), LOCK=str(folder / "lock"), MOUNTED=0)
        assert LocalTransport().run(f"{remove}\nremove").code == 0
        assert not folder.exists()
        assert strays(folder) == []
    print(f"{uploader}: {dict(kinds)}, {shim.cuts} cuts")
    assert kinds["complete"] > 0
    assert shim.cuts > 0


def objects(s3: Any, bucket: str, key: str) -> str:
    """Digest of an object, "" if it is not there."""
    from botocore.exceptions import ClientError

    try:
        return digest(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("NoSuchKey", "404")
        return ""
