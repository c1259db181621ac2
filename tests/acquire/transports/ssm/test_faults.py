# SPDX-License-Identifier: Apache-2.0
"""Random faults on the way to a node over SSM: lost answers, a dying agent, cut spool objects.

A script either gives its whole, right output or raises; it is never run twice; no secret is on the node's disk, and
nothing stays in its memory.
"""

from __future__ import annotations

import hashlib
import os
import random
import secrets
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.transports.ssm.command import Commander
from memir.acquire.transports.ssm.transport import SsmTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection, service_client
from memir.errors import RemoteError
from tests.acquire.rigs.s3shim import Request, Shim
from tests.acquire.rigs.ssm import SsmServer
from tests.acquire.rigs.wait import until

RUNS = 24 if os.environ.get("CI") else 8


def session_of(transport: SsmTransport) -> Path:
    """Its directory on the node, which is this machine; other tests have theirs beside it."""
    return Path(f"/dev/shm/.memir-ssm-{transport._name}")


def until_gone(folder: Path) -> None:
    until(lambda: not folder.exists(), lambda: f"{folder} stays: {[path.name for path in folder.iterdir()]}")


@pytest.mark.slow
def test_random_faults(s3: Any, bucket: str, shim: Shim, ssm_server: SsmServer, tmp_path: Path) -> None:
    agent = ssm_server.add()
    ssm_server.scale = 1.0
    client = service_client("ssm", Connection(ssm_server.region, ssm_server.endpoint))
    kinds: Counter[str] = Counter()
    faults = 0
    for seed in range(RUNS):
        rng = random.Random(seed)
        commander = Commander(client, agent.instance_id, poll=0.02, delivery=30, silence=0.5)
        transport = SsmTransport(commander, s3=s3, spool=S3Address(bucket, "f"), grace=6)
        lost, cut = rng.choice(((0.1, 0.0), (0.4, 0.1), (0.0, 0.5), (0.2, 0.2)))

        def drop(_: str, rng: random.Random = rng, lost: float = lost) -> bool:
            return rng.random() < lost

        def plan(request: Request, rng: random.Random = rng, cut: float = cut) -> int | None:
            if rng.random() >= cut:
                return None
            return rng.choice((-1, rng.randrange(max(1, int(request.headers.get("content-length", "0"))))))

        secret = secrets.token_hex(32)
        size = rng.choice((10, 5_000, 60_000))
        data = (secret + "\n").encode() + rng.randbytes(size)
        proof = tmp_path / f"ran-{seed}"
        try:
            if rng.random() < 0.5:
                # half of the runs have an open session before the faults begin
                transport.run("cat > /dev/null", data=b"open")
            if rng.random() < 0.2:
                agent.kill_after = rng.random() * 0.3
            ssm_server.drop, shim.cut = drop, plan
            got = transport.run(f"echo . >> {proof}; cat; head -c {size} /dev/zero", data=data, timeout=20)
            assert got.code == 0, seed
            assert got.out == data + bytes(size), seed
            kinds["whole"] += 1
        except RemoteError as error:
            kinds[type(error).__name__] += 1
            faults += 1
        finally:
            ssm_server.drop = shim.cut = agent.kill_after = None
            if agent.dead:
                agent.revive()
        if proof.exists():
            assert proof.read_text() == ".\n", f"{seed}: the script was run twice"
        transport.close()
        until_gone(session_of(transport))
        disk = agent.disk()
        assert secret.encode() not in disk, seed
        assert b"X-Amz-Signature" not in disk, seed
        assert hashlib.sha256(data).hexdigest().encode() in disk or kinds, seed
    print(f"ssm: {dict(kinds)}")
    assert kinds["whole"] > 0
