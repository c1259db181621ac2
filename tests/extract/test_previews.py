# SPDX-License-Identifier: Apache-2.0
"""The first page of files: bytes as the recorder wrote them, secrets masked, what is not in RAM told."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pyarrow as pa
import pytest

import memir
from memir.extract.previews import MOST, SHOWN, masked_hex, masked_text, preview, previews
from memir.kernel.filemap import PAGE, Content
from memir.kube.secrets import Secrets
from memir.node import Node
from tests.extract.test_files import LOG
from tests.images import cache, case

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLWl0"


@pytest.fixture(scope="module")
def node() -> Node:
    return memir.open(case("s-6.1-small").image, cache=cache())


def test_files_that_a_container_changed(node: Node) -> None:
    inodes = node["inodes"].to_arrow()
    rows = inodes.to_pylist()
    made = previews(node, inodes).to_pylist()
    (log,) = [each for each in made if rows[each["row"]]["container_path"] == "/tmp/server.log"]
    assert (log["text"], log["hex"], log["offset"], log["length"], log["size"], log["holes"]) == (
        "server up on 8080\n", None, 0, 18, 18, None,
    )  # fmt: skip
    assert hashlib.sha256(log["text"].encode()).hexdigest() == LOG
    droppers = [each for each in made if rows[each["row"]]["container_path"] == "/tmp/dropper" and each["hex"]]
    assert droppers and all(each["hex"].startswith("7f454c46") for each in droppers)
    assert {(each["size"], each["length"], each["why"], len(each["hex"])) for each in droppers} == {
        (776968, SHOWN, None, 2 * SHOWN)
    }
    chosen = [rows[each["row"]] for each in made]
    assert all(row["kind"] == "regular" and (row["change"] or row["deleted"]) for row in chosen)


def test_what_findings_rest_on_comes_first(node: Node) -> None:
    inodes = node["inodes"].to_arrow()
    other = next(
        number for number, row in enumerate(inodes.to_pylist())
        if row["kind"] == "regular" and row["change"] is None and row["cached"] and not row["freed"]
    )  # fmt: skip
    assert previews(node, inodes, [other, -1, 10**9])["row"].to_pylist()[0] == other


def test_another_file_than_the_table_says_is_not_shown(node: Node) -> None:
    inodes = node["inodes"].to_arrow()
    place = inodes.schema.get_field_index("inode")
    changed = inodes.set_column(place, inodes.schema.field(place), pa.array([7] * inodes.num_rows, pa.uint64()))
    made = previews(node, changed).to_pylist()
    assert made and {each["why"] for each in made} == {"the image has another file there"}
    assert {each["text"] for each in made} | {each["hex"] for each in made} == {None}
    nowhere = inodes.set_column(
        inodes.schema.get_field_index("address"), "address", pa.array([0xDEAD0000] * inodes.num_rows, pa.uint64())
    )
    assert {each["why"] for each in previews(node, nowhere).to_pylist()} == {"the image has another file there"}
    assert len(made) <= MOST


def content(pages: list[int], size: int) -> Content:
    return Content(np.array(pages, np.int64), np.zeros(len(pages), np.uint64), size)


def test_holes_and_their_words() -> None:
    secrets = Secrets(b"k" * 32)
    made = preview(3, content([2, 3], 5 * PAGE), b"x" * SHOWN, secrets)
    assert (made.row, made.offset, made.length, made.text) == (3, 2 * PAGE, SHOWN, "x" * SHOWN)
    assert made.holes == "12,288 of 20,480 bytes are not in RAM: 0 to 8,191, 16,384 to 20,479"
    many = preview(0, content(list(range(0, 40, 2)), 40 * PAGE), b"x", secrets)
    assert many.holes is not None and many.holes.endswith(" and 14 more ranges")
    assert preview(0, content([], 0), b"", secrets).why == "the file is empty"
    gone = preview(0, content([], 9), b"", secrets)
    assert (gone.why, gone.holes) == ("nothing of it is in RAM", "9 of 9 bytes are not in RAM: 0 to 8")


def test_text_or_hex() -> None:
    secrets = Secrets(b"k" * 32)

    def shown(data: bytes) -> tuple[str | None, str | None]:
        made = preview(0, content([0], len(data)), data, secrets)
        return made.text, made.hex

    assert shown("naïve\tline\n".encode()) == ("naïve\tline\n", None)
    assert shown(b"nearly all text of it \xff") == ("nearly all text of it \\xff", None)
    assert shown(b"\x00\x01\x02") == (None, "000102")
    assert shown(b"\xff\xfe\xfd") == (None, "fffefd")
    assert shown("\u202egnp.exe".encode())[0] == "\u202egnp.exe"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("aws_secret_access_key = wJalrXUtnFEMIK7MDENG", "wJalrXUtnFEMIK7MDENG"),
        ('{"auths": {"r": {"auth": "dXNlcjpwYXNz"}}}', "dXNlcjpwYXNz"),
        ("db:\n  password: hunter2hunter\n", "hunter2hunter"),
        ("export DB_PASSWORD='s3cr3t-of-it'", "s3cr3t-of-it"),
        ("root:$6$saltsalt$abcdefghijklmnop/ABCDEFG:19000:0:99999:7:::", "abcdefghijklmnop"),
        (f"token: {JWT}", JWT),
        ("MIIEowIBAAKCAQEA\nabcdef==\n-----END RSA PRIVATE KEY-----\nnext", "MIIEowIBAAKCAQEA"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkq", "MIIEvgIBADANBgkq"),
        ("postgres://app:pw-of-app@db:5432/x", "pw-of-app"),
    ],
)
def test_secrets_are_masked(text: str, hidden: str) -> None:
    shown = masked_text(text, Secrets(b"k" * 32))
    assert hidden not in shown and "*** (" in shown
    digits = masked_hex(b"\x00\x7fELF" + text.encode() + b"\x00")
    assert hidden.encode().hex() not in digits and "xx" in digits
    assert len(digits) == 2 * (len(text.encode()) + 6)


def test_what_is_no_secret_is_left() -> None:
    text = "path: /etc/shadow\npassword: /run/secrets/db\nuser = root\ncolour: green\n"
    assert masked_text(text, Secrets(b"k" * 32)) == text
    assert re.fullmatch("[0-9a-f]*", masked_hex(text.encode()))
