# SPDX-License-Identifier: Apache-2.0
"""A collection whose controller was killed, closed: judged, signed, analyzed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import memir
from memir.aws.client import Connection
from memir.aws.evidence import S3PartReader
from memir.collect.close import close_collection
from memir.errors import UsageError
from memir.evidence.pod_receipt import pod_receipt_of
from memir.evidence.verify import verify
from tests.acquire.rigs.s3shim import Shim
from tests.acquire.rigs.sshd import keygen
from tests.collect.killed import killed_after
from tests.collect.podrig import SNAPSHOTS, PodRig


def test_what_arrived_is_recorded_signed_and_read(pod: PodRig, tmp_path: Path) -> None:
    evidence, key = tmp_path / "ev", keygen(tmp_path / "key")
    killed_after(pod, evidence, 1_500_000, key)
    found = verify(evidence)
    assert ("manifest.jsonl", "has no end: the run was cut off, or the last records were removed") in [
        (problem.where, problem.what) for problem in found.problems
    ]
    with pytest.raises(UsageError, match="give it with --sign-key"):
        close_collection(evidence)
    receipt = close_collection(evidence, key)
    assert (receipt.status, receipt.missing[0]) == ("interrupted", "the controller was killed before the run ended")
    (cut,) = receipt.missing[1:]
    assert cut.startswith("file clear/memory/")
    assert cut.endswith(".core: it was being written when the controller was killed: not whole")
    assert receipt.collection.pod.uid == pod.uid
    assert (receipt.case, pod_receipt_of(evidence)) == ("IR-7", receipt)
    found = verify(evidence, public_key=tmp_path / "key.pub")
    assert (found.problems, found.status, found.exit_code) == ([], "interrupted", 4)
    with memir.open(evidence) as node:
        assert pod.pid in node["processes"]["pid"]
    with pytest.raises(UsageError, match="that run has ended"):
        close_collection(evidence, key)


def test_killed_in_a_layer_its_list_is_what_arrived(pod: PodRig, tmp_path: Path) -> None:
    """The list has the files that came whole, and goes together with the tar that was cut."""
    upper = pod.root / f"{SNAPSHOTS[1:]}/2/fs"
    (upper / "aa-small").write_bytes(b"small")
    (upper / "bb-large").write_bytes(bytes(4 << 20))
    evidence = tmp_path / "ev"
    try:
        killed_after(pod, evidence, 2 << 20, marker=f"{pod.container}/upper.tar")
    finally:
        (upper / "aa-small").unlink()
        (upper / "bb-large").unlink()
    receipt = close_collection(evidence)
    place = f"node/containers/{pod.container}"
    assert {gap.where for gap in receipt.collection.gaps if gap.kind == "file"} == {
        f"{place}/upper.tar", f"{place}/upper.files.jsonl",
    }  # fmt: skip
    assert (evidence / place / "upper.tar").stat().st_size > 1 << 20
    lines = (evidence / place / "upper.files.jsonl").read_text().splitlines()
    assert [json.loads(line).get("path") for line in lines] == [None, "/aa-small"]
    found = verify(evidence)
    assert (found.problems, found.status) == ([], "interrupted")
    with memir.open(evidence) as node:
        assert "/aa-small" in node["inodes"]["container_path"]


def test_in_s3_an_upload_that_was_under_way_is_named(
    pod: PodRig, s3: Any, bucket: str, shim: Shim, tmp_path: Path
) -> None:
    evidence = tmp_path / "ev"
    killed_after(pod, evidence, 3_000_000, store=(bucket, "ir-7/ev", shim.region, shim.endpoint))
    receipt = close_collection(evidence)
    (upload,) = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    where, ident = f"s3://{bucket}/{upload['Key']}", upload["UploadId"]
    assert receipt.missing[1:] == (
        f"file {where}: its upload {ident} is not complete; its parts are kept until it is aborted",
    )
    records = [json.loads(line) for line in (evidence / "manifest.jsonl").read_bytes().splitlines()]
    files = [row["name"] for row in records if row["event"] == "file"]
    assert files[0] == "node/processes.jsonl"
    assert receipt.collection.received == len(files)
    found = verify(evidence, reader=S3PartReader(connection=Connection(shim.region, shim.endpoint)))
    assert (found.problems, found.status, found.exit_code) == ([], "interrupted", 4)


def test_nothing_to_close(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no evidence folder"):
        close_collection(tmp_path)
