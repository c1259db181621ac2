# SPDX-License-Identifier: Apache-2.0
"""A collection whose controller is gone, without a last word, after so many bytes of the node's stream."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.base import Stream
from memir.acquire.transports.local import LocalTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection
from memir.collect.objects import ObjectStore
from memir.collect.run import CollectOptions, PodCollection
from memir.collect.target import by_uid
from tests.collect.podrig import PodRig

ROOT = Path(__file__).resolve().parents[2]
CODE = 9


def killed_after(
    pod: PodRig, evidence: Path, count: int, key: Path | None = None, store: tuple[str, ...] = (), marker: str = ""
) -> None:
    """store: bucket, prefix, region and endpoint of S3, where the files go there. marker: what the count begins at."""
    words = [str(pod.root), pod.uid, str(evidence), str(count), str(key or ""), marker, *store]
    done = subprocess.run([sys.executable, "-m", "tests.collect.killed", *words], check=False, cwd=ROOT)
    assert done.returncode == CODE


def main(root: str, uid: str, evidence: str, count: str, key: str, marker: str, *place: str) -> None:
    class Killing(LocalTransport):
        left = int(count)
        waiting = bool(marker)

        def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
            stream = super().open_stream(script, data=data)
            read = stream.read
            held = b""

            def short(size: int) -> bytes:
                nonlocal held
                if self.waiting:
                    data = read(min(size, 4096))
                    held = held[-len(marker) :] + data
                    self.waiting = marker.encode() not in held
                    return data
                if not self.left:
                    os._exit(CODE)
                got = read(min(size, self.left))
                self.left -= len(got)
                return got

            stream.read = short  # type: ignore[method-assign]
            return stream

    store = None
    if place:
        bucket, prefix, region, endpoint = place
        options = S3Options(Connection(region, endpoint), part_size=5 << 20)
        store = ObjectStore(S3Address(bucket, prefix), options, small=1 << 20)
    chosen = CollectOptions(sign_key=Path(key) if key else None, case="IR-7")
    PodCollection(Killing(Path(root)), by_uid(uid), Path(evidence), chosen, store=store).execute()


if __name__ == "__main__":
    main(*sys.argv[1:])
