# SPDX-License-Identifier: Apache-2.0
"""The table `secrets`, and that clear values are in no file of a case but one."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from memir.image.open import open_image
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.kube.secrets import Secrets
from memir.symbols.locate import locate
from memir.tables.secrets import TABLE, row_of
from tests.cli.conftest import Memir
from tests.images import case

PASSWORD = "correct-horse-battery-staple-7731"
# what the containers of the sample have in their environment, and what a copy of the image has in its place
_THERE = b"AWS_ROLE_ARN=arn:aws:iam::111122223333:role/memir-test\0"
_PUT = f"DB_PASSWORD={PASSWORD}\0FILLED=UP=".encode()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "node.raw"
    with case("s-6.1-small").open() as memory, path.open("wb") as file:
        for start, view in memory.views(1 << 20, skip_zeros=True):
            file.seek(start)
            file.write(view.data)
        file.truncate(memory.end)
    data = path.read_bytes()
    assert data.count(_THERE) > 5
    path.write_bytes(data.replace(_THERE, _PUT.ljust(len(_THERE) - 1, b"x") + b"\0"))
    return path


def test_rows_have_no_values_and_whose_they_are(image: Path) -> None:
    with open_image(image) as memory:
        source = RamSource(Kernel(memory, locate(memory)))
        source.secret_key = bytes(32)
        rows = TABLE.read(source).rows()
        recorded = case("s-6.1-small").recorded()
    want = {
        pid for pid, truth in recorded.items() if any(one.startswith("AWS_ROLE_ARN=") for one in truth.environ or [])
    }
    held = {row["pid"]: row for row in rows if row["holder"] == "environ"}
    assert set(held) == want
    fingerprint = Secrets(bytes(32)).fingerprint("password", PASSWORD)
    assert {(row["kind"], row["name"], row["fingerprint"]) for row in rows} == {
        ("password", "DB_PASSWORD", fingerprint)
    }
    assert {row["pod_name"] for row in rows} == {"web-7d4b9c6f5-abcde", "miner-0", "agent-x9z2k"}
    assert source.secrets.values == {fingerprint: PASSWORD} and PASSWORD not in str(rows)


def test_a_node_without_secrets_has_the_table(node_of: Callable[[str], RamSource]) -> None:
    assert TABLE.read(node_of("s-6.1-small")).rows() == []


def token(**claims: Any) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "x"}, claims)
    ]
    return ".".join([*parts, "c2lnbmF0dXJlLWJ5dGVz"])


def test_tokens() -> None:
    clock = 1795471962272000000
    secrets = Secrets(bytes(32))
    text = token(aud=["sts.amazonaws.com", 7], exp=1795475562, iat=1795471900, sub="a:b")
    (secret,) = secrets.text(text)[1]
    row = row_of(secret, clock)
    assert row["kind"] == "token" and row["audience"] == ["sts.amazonaws.com"] and row["valid"] is True
    assert json.loads(row["claims"])["sub"] == "a:b"
    assert datetime.fromtimestamp(row["expires"] / 1e6, UTC).isoformat() == "2026-11-23T23:12:42+00:00"
    for claims, when, valid in (
        ({"exp": 1795471962}, clock, False),
        ({"exp": 1795471963}, clock, True),
        ({"exp": 1795479999, "nbf": 1795471999}, clock, False),
        ({"exp": 1 << 60}, clock, None),
        ({"exp": "soon"}, clock, None),
        ({"exp": 1795471963}, None, None),
    ):
        secret = secrets.add("token", None, token(pad="x" * 9, **claims))
        assert row_of(secret, when).get("valid") is valid
    assert "claims" not in row_of(secrets.add("password", "P", "hunter2"), clock)


def test_no_file_of_a_case_holds_a_clear_value(image: Path, memir: Memir, tmp_path: Path) -> None:
    folder, rules = tmp_path / "case", tmp_path / "password.yar"
    rules.write_text("rule Password : secret { strings: $a = /DB_PASSWORD=[!-~]{8,64}/ condition: $a }")
    printed = memir("analyze", image, "-o", folder, "--json", "--cache", tmp_path / "cache", "--rules", rules)
    assert printed.code == 0 and PASSWORD not in printed.out + printed.err
    hunted = memir("hunt", image, "--rules", rules, "-o", folder, "--show-secrets", "--cache", tmp_path / "cache")
    assert hunted.code == 0 and PASSWORD in hunted.out
    kept = folder / "tables" / "secret_values.parquet"
    assert PASSWORD in [row["value"] for row in pq.read_table(kept).to_pylist()]
    assert stat.S_IMODE(kept.stat().st_mode) == stat.S_IMODE((folder / "secrets.key").stat().st_mode) == 0o600
    key = (folder / "secrets.key").read_bytes()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != kept and path.name != "secrets.key":
            content = path.read_bytes()
            assert PASSWORD.encode() not in content and key not in content and key.hex().encode() not in content
            if path.suffix == ".parquet":
                assert PASSWORD not in str(pq.read_table(path).to_pylist()), path.name
    sql = "select value from secret_values join secrets using (fingerprint) where pid is not null"
    assert memir("query", folder, sql).code == 2
    for option in ("--reveal", "--show-secrets"):
        assert PASSWORD in memir("query", folder, sql, option).out
    shown = memir("query", folder, "select holder, name, count(*) as n from secrets group by all", "--jsonl").out
    assert {json.loads(line)["holder"] for line in shown.splitlines()} >= {"environ", "hit"}
