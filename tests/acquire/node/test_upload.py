# SPDX-License-Identifier: Apache-2.0
"""The node's uploader, run as it runs there, with a controller that is a few lines here and a real S3 server."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.node.http import UploadFailed
from memir.acquire.node.parts import Part
from memir.acquire.node.upload import UrlClient, main, peak_rss, put_file
from memir.aws.checksum import b64
from tests.acquire.node.test_parts import DATA, EXPECTED, FIVE, Upload
from tests.acquire.rigs.wait import BOUND, until
from tests.images import ROOT

DIGEST = hashlib.sha256(b"x").hexdigest()


def uploader(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "memir.acquire.node.upload", str(folder), str(FIVE), "--backoff", "0.01", *more]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)


def give(folder: Path, number: int, *lines: str) -> None:
    """A file of grants; it appears under its name when it is whole."""
    (folder / "grants.new").write_text("".join(f"{line}\n" for line in lines))
    (folder / "grants.new").rename(folder / f"grants.{number}")


def controller(folder: Path, upload: Upload) -> None:
    """Answers each request until the uploader's last word is there."""
    answered = 0
    while not (folder / "consumer.json").exists():
        lines = (folder / "want").read_text().splitlines() if (folder / "want").exists() else []
        for line in lines[answered:]:
            number, size, sha256, attempt = line.split()
            url = upload.grant(int(number), int(size), sha256, int(attempt))
            give(folder, answered, f"{number} {attempt} {url}")
            answered += 1
        time.sleep(0.02)


def ended(folder: Path, process: subprocess.Popen[bytes], data: bytes) -> tuple[int, dict[str, Any], str]:
    """Exit status, last word, standard error."""
    _, error = process.communicate(data, timeout=BOUND)
    return process.returncode, json.loads((folder / "consumer.json").read_text()), error.decode()


def test_a_stream_is_stored_part_by_part(s3: Any, bucket: str, tmp_path: Path) -> None:
    upload = Upload(s3, bucket)
    (tmp_path / "alive").touch()
    threading.Thread(target=controller, args=(tmp_path, upload), daemon=True).start()
    code, word, error = ended(tmp_path, uploader(tmp_path), DATA)
    assert (code, error, word["error"]) == (0, "", "")
    assert (word["parts"], word["size"], word["retries"]) == (3, len(DATA), 0)
    assert word["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert word["uploader"] == f"python {sys.version_info[0]}.{sys.version_info[1]}"
    assert 1 << 20 < word["peak_rss"] < 1 << 30
    done = [line.split() for line in (tmp_path / "done").read_text().splitlines()]
    assert sorted((int(a), int(b), int(c), d) for a, b, c, d, _ in done) == EXPECTED
    # every grant was read and removed, and no URL stays
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alive", "consumer.json", "done", "want"]


def test_told_to_stop(tmp_path: Path) -> None:
    process = uploader(tmp_path)
    give(tmp_path, 0, "STOP the case is closed")
    code, word, error = ended(tmp_path, process, DATA[: FIVE + 1])
    assert (code, word["error"], word["sha256"]) == (5, "told to stop: the case is closed", "")
    assert error == "memir upload: told to stop: the case is closed\n"


def test_no_grant_comes(tmp_path: Path) -> None:
    code, word, _ = ended(tmp_path, uploader(tmp_path, "--patience", "0.3"), b"x")
    assert (code, word["error"]) == (4, "part 1: no grant came in 0 s; is the controller gone?")
    assert (tmp_path / "want").read_text() == f"1 1 {DIGEST} 0\n"


def test_the_store_refuses(s3: Any, bucket: str, tmp_path: Path) -> None:
    upload = Upload(s3, bucket)
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload.id)
    threading.Thread(target=controller, args=(tmp_path, upload), daemon=True).start()
    code, word, _ = ended(tmp_path, uploader(tmp_path), b"x")
    assert (code, word["parts"]) == (3, 0)
    assert "NoSuchUpload" in word["error"]


def test_one_file_by_the_url_on_standard_input(s3: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    url = s3.generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": "file", "ChecksumSHA256": b64(DIGEST)}
    )
    command = [sys.executable, "-m", "memir.acquire.node.upload", "--put", str(tmp_path / "file")]
    done = subprocess.run([*command, b64(DIGEST)], input=url.encode(), capture_output=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert s3.get_object(Bucket=bucket, Key="file")["Body"].read() == b"x"


def test_a_file_that_nobody_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "url").write_text("http://127.0.0.1:1/nobody\n")
    with (tmp_path / "url").open() as text:
        monkeypatch.setattr(sys, "stdin", text)
        assert put_file(str(tmp_path / "file"), b64(DIGEST), 2) == 3
    assert capsys.readouterr().err.startswith(f"memir upload: {tmp_path / 'file'}: ")
    with pytest.raises(SystemExit) as told:
        main(["--help"])
    assert told.value.code == 0
    assert "part_size" in capsys.readouterr().out


def test_what_is_no_grant_is_not_taken(tmp_path: Path) -> None:
    client = UrlClient(str(tmp_path), patience=0.05)
    client.take("1 0\nx 0 http://x\n1 1 http://other-attempt\nM 0 only-put\n\n")
    with pytest.raises(UploadFailed, match=r"part 1: no grant came") as failed:
        client.grant(1, 1, DIGEST, 0)
    assert failed.value.code == 4
    give(tmp_path, 7, "1 0 http://mine")
    client.patience = BOUND
    assert client.grant(1, 1, DIGEST, 0) == "http://mine"
    assert (tmp_path / "want").read_text() == f"1 1 {DIGEST} 0\n" * 2
    client.take("STOP")
    with pytest.raises(UploadFailed, match="told to stop: the controller said so"):
        client.grant(2, 1, DIGEST, 0)


def test_letters_through_the_bucket(s3: Any, bucket: str, tmp_path: Path) -> None:
    """The request goes to the slot's first URL, the answer comes from its second; last words need another slot."""

    def slot(number: int) -> str:
        put, get = (
            s3.generate_presigned_url(method, Params={"Bucket": bucket, "Key": f"{number}.{side}"})
            for method, side in (("put_object", "want"), ("get_object", "grant"))
        )
        return f"M {number} {put} {get}"

    def message(key: str) -> list[str]:
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        text: str = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() if key in keys else ""
        return text.splitlines()

    client = UrlClient(str(tmp_path), patience=BOUND)
    urls: list[str] = []
    asking = threading.Thread(target=lambda: urls.append(client.grant(1, 1, DIGEST, 0)), daemon=True)
    client.take(slot(0))
    asking.start()
    until(lambda: bool(message("0.want")), lambda: "no message came")
    assert message("0.want") == [f"W 1 1 {DIGEST} 0"]
    s3.put_object(Bucket=bucket, Key="0.grant", Body=f"1 0 http://mine\n{slot(1)}\n".encode())
    asking.join(BOUND)
    assert urls == ["http://mine"]
    client.done(Part(1, 0, 1, DIGEST, '"etag"'))
    client.close()
    assert message("1.want") == [f'D 1 0 1 {DIGEST} "etag"']
    assert (tmp_path / "done").read_text() == f'1 0 1 {DIGEST} "etag"\n'


def test_peak_rss_is_the_kernels() -> None:
    words = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    assert peak_rss() >= int(words["VmRSS"].split()[0]) * 1024 * 9 // 10
