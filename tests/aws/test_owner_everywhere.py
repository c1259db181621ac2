# SPDX-License-Identifier: Apache-2.0
"""--bucket-owner on every verb that reads a bucket: another account's is refused, nothing of it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acquire.rigs.s3shim import Request, Shim
from tests.cli.conftest import Command, command, memir  # noqa: F401  (fixtures)

VERBS = {
    "verify": ["verify", "{at}"], "info": ["info", "{at}/image.raw"],
    "analyze": ["analyze", "{at}/image.raw"], "hunt": ["hunt", "{at}/image.raw", "-r", "{rules}"],
    "hunt a prefix": ["hunt", "{at}", "-r", "{rules}"], "symbols": ["symbols", "{at}/image.raw", "-o", "{out}"],
    "findings": ["findings", "{out}", "--logs", "{at}"], "timeline": ["timeline", "{out}", "--logs", "{at}"],
    "run": ["run", "linux.pslist", "{at}/image.raw"],
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_another_s_bucket_is_not_read(
    verb: str,
    shim: Shim,
    tmp_path: Path,
    store: Callable[[bytes], str],
    command: Command,  # noqa: F811
) -> None:
    import boto3

    bucket = store(b"").split("/")[2]
    s3: Any = boto3.Session().client("s3")
    s3.put_object(Bucket=bucket, Key="case/image.raw", Body=bytes(1 << 20))
    s3.put_object(Bucket=bucket, Key="case/manifest.jsonl", Body=b"{}\n")
    (tmp_path / "r.yar").write_text("rule r { condition: false }")
    owners: list[str] = []

    def note(request: Request) -> bool:
        owners.append(request.headers.get("x-amz-expected-bucket-owner", ""))
        return False

    shim.deny_if = note
    places = {"at": f"s3://{bucket}/case", "rules": str(tmp_path / "r.yar"), "out": str(tmp_path / "out.json")}
    words = [word.format(**places) for word in VERBS[verb]]

    refused = command(*words, "--bucket-owner", "999999999999")
    assert refused.returncode == 4, refused.stderr
    assert "denied" in refused.stderr
    assert set(owners) == {"999999999999"}
    owners.clear()
    # the right one: the image is read, and is no node's
    read = command(*words, "--bucket-owner", shim.owner)
    assert read.returncode != 4, read.stderr
    assert set(owners) == {shim.owner}
    assert command(*words, "--bucket-owner", "me").returncode == 2
