# SPDX-License-Identifier: Apache-2.0
"""From a pipe on the node to S3: the server's own single-client rate beside memir's, in one run.

    python benchmarks/acquire_s3.py [--size MIB] [--rounds N] [--apart] [--out FILE.json]

The server is seaweedfs on loopback with its files in memory. It takes ten seconds of processor time a GiB, so the
ratio counts and not the rate, and only on a quiet machine. With `--apart` the server has the first processor and the
client the others, as if they were two machines; else they take it from one another. `single`: one client that stores
the same bytes in parts of the same size, one after another: the server's own rate. `node`: the uploader as it runs on
a node, with its grants signed by the controller, from the pipe's first byte to the compared object. `through`: the
same through the controller's own sink.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.apart import processors, sides
from memir.aws.checksum import b64
from memir.aws.client import Connection, s3_client
from tests.acquire.rigs.seaweed import ACCESS_KEY, SECRET_KEY, Seaweed

MIB = 1 << 20
PART = 64 * MIB
BUCKET = "bench-evidence"
THROUGH = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from memir.acquire.node.upload import peak_rss
from memir.acquire.sinks.s3.base import S3Address, S3Options
from memir.acquire.sinks.s3.stream import S3StreamSink
from tests.acquire.rigs.drive import meta
sink = S3StreamSink(S3Address(sys.argv[3], "c"), S3Options(connection=Connection("us-east-1", sys.argv[2])))
start = time.monotonic()
sink.begin(meta(sys.argv[4]))
with open(sys.argv[5], "rb", buffering=0) as source:
    while chunk := source.read(1 << 20):
        sink.write(chunk)
stored = sink.commit()
print(json.dumps({"seconds": time.monotonic() - start, "complete": stored.complete, "node": 0,
                  "peak": peak_rss()}))
"""
NODE = """
import json, sys, tempfile, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from memir.acquire.node.upload import peak_rss
from memir.acquire.transports.local import LocalTransport
from memir.acquire.sinks.s3.base import S3Address, S3Options
from memir.acquire.sinks.s3.direct import S3DirectSink
from tests.acquire.rigs.drive import drive
with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
    sink = S3DirectSink(S3Address(sys.argv[3], "n"), S3Options(connection=Connection("us-east-1", sys.argv[2])))
    start = time.monotonic()
    tool = f"cat {sys.argv[5]} > {folder}/stream"
    got = drive(sink, LocalTransport(), Path(folder), b"", tool=tool, name=sys.argv[4], timeout=900)
    seconds = time.monotonic() - start
print(json.dumps({"seconds": seconds, "complete": got.stored.complete, "node": got.receipt.extra["peak_rss"],
                  "peak": peak_rss()}))
"""


def single(client: Any, source: Path, name: str) -> float:
    """Seconds to store the file in parts, one after another; hashing and reading are not counted."""
    import hashlib

    from memir.acquire.node.http import Connection

    upload = client.create_multipart_upload(Bucket=BUCKET, Key=name, ChecksumAlgorithm="SHA256")["UploadId"]
    seconds, parts, connection = 0.0, [], Connection(120)
    with source.open("rb", buffering=0) as file:
        number = 0
        while body := file.read(PART):
            number += 1
            checksum = b64(hashlib.sha256(body).hexdigest())
            url = client.generate_presigned_url(
                "upload_part",
                Params={
                    "Bucket": BUCKET,
                    "Key": name,
                    "UploadId": upload,
                    "PartNumber": number,
                    "ChecksumSHA256": checksum,
                },
            )
            start = time.monotonic()
            headers, _ = connection.request("PUT", url, body, {"x-amz-checksum-sha256": checksum})
            seconds += time.monotonic() - start
            parts.append({"PartNumber": number, "ETag": headers["etag"], "ChecksumSHA256": checksum})
    start = time.monotonic()
    client.complete_multipart_upload(Bucket=BUCKET, Key=name, UploadId=upload, MultipartUpload={"Parts": parts})
    return seconds + time.monotonic() - start


def apart(program: str, endpoint: str, source: Path, name: str) -> dict[str, float]:
    """Seconds, the controller's peak memory and the node's, measured in a process of its own."""
    root = str(Path(__file__).resolve().parents[1])
    words = [sys.executable, "-c", program, root, endpoint, BUCKET, name, str(source)]
    said: dict[str, float] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    assert said["complete"]
    return said


def main() -> None:
    """Measure and print."""
    import os

    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--apart", action="store_true", help="server and client on processors of their own")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    rows: list[dict[str, float]] = []
    with (
        tempfile.TemporaryDirectory(prefix="memir-bench-", dir="/dev/shm") as folder,
        tempfile.TemporaryDirectory(dir="/dev/shm") as fast,
    ):
        server = Seaweed(Path(folder) / "s3")
        away, here = sides(options.apart)
        with processors(away):
            server.start()
        os.sched_setaffinity(0, here)
        try:
            client = s3_client(Connection("us-east-1", server.endpoint))
            client.create_bucket(Bucket=BUCKET)
            source = Path(fast) / "ram"
            block = os.urandom(16 * MIB)
            with source.open("wb") as file:
                for _ in range(options.size // 16):
                    file.write(block)
            size = source.stat().st_size / MIB
            for number in range(options.rounds):
                alone = single(client, source, f"single-{number}")
                near = apart(NODE, server.endpoint, source, f"node-{number}")
                far = apart(THROUGH, server.endpoint, source, f"through-{number}")
                rows.append({
                    "single_mib_s": size / alone,
                    "node_mib_s": size / near["seconds"], "node_ratio": alone / near["seconds"],
                    "through_mib_s": size / far["seconds"], "through_ratio": alone / far["seconds"],
                    "node_peak_mb": near["node"] / 1e6, "signing_controller_peak_mb": near["peak"] / 1e6,
                    "through_controller_peak_mb": far["peak"] / 1e6,
                })  # fmt: skip
                print(json.dumps({key: round(value, 3) for key, value in rows[-1].items()}), flush=True)
        finally:
            server.stop()
    best = sorted(rows, key=lambda row: row["node_ratio"])[len(rows) // 2]
    result = {"size_mib": options.size, "rounds": rows, "median": best}
    print("median: " + json.dumps(best))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
