# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.acquire.tools.fetch import expand
from memir.errors import AccessError, UsageError
from tests.acquire.rigs.s3shim import Shim


def test_folders_of_modules(tmp_path: Path, lime: Path) -> None:
    folder = tmp_path / "modules" / "deep"
    folder.mkdir(parents=True)
    (folder / "a.ko").write_bytes(lime.read_bytes())
    (folder / "readme").write_text("x")
    with expand([str(tmp_path / "modules"), str(lime)]) as found:
        assert [path.name for path, _ in found] == ["a.ko", "lime.ko"]
    (folder / "a.ko").unlink()
    with pytest.raises(UsageError, match=r"holds no \.ko"), expand([str(folder)]):
        pass
    with pytest.raises(UsageError, match="is not there"), expand([str(tmp_path / "none")]):
        pass


def test_objects_of_a_bucket_are_fetched_for_the_blocks_time(
    s3: Any, shim: Shim, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", shim.endpoint)
    monkeypatch.setenv("AWS_REGION", shim.region)
    monkeypatch.setenv("AWS_DEFAULT_REGION", shim.region)
    for key, body in {"t/lime-6.1.ko": b"module", "t/deep/avml": b"program", "t/notes.txt": b"x"}.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    with expand([f"s3://{bucket}/t"]) as found:
        assert {origin: path.read_bytes() for path, origin in found} == {
            f"s3://{bucket}/t/deep/avml": b"program", f"s3://{bucket}/t/lime-6.1.ko": b"module",
        }  # fmt: skip
        paths = [path for path, _ in found]
    assert [path.exists() for path in paths] == [False, False]
    with pytest.raises(UsageError, match=r"holds no \.ko and no avml"), expand([f"s3://{bucket}/t/notes"]):
        pass
    shim.deny.add("s3:ListBucket")
    with pytest.raises(AccessError, match="s3:ListBucket"), expand([f"s3://{bucket}/t"]):
        pass
