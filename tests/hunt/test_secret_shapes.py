# SPDX-License-Identifier: Apache-2.0
"""What the bytes are that a rule found: whole secrets, and nothing for what only looks like one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yara

from memir.hunt.hexdump import secret_span
from memir.hunt.secret_rules import rules_text
from memir.hunt.secret_shapes import Exposed, shapes
from tests.fuzz import cases, mutations
from tests.kube.test_aws_keys import KEY, SECRET, TEXTS, TOKEN, WHEN

RULES = yara.compile(source=rules_text({})[0])


def secrets_of(data: bytes) -> list[Exposed]:
    """What the rules and their readers give of some bytes, as a scan has them."""
    out: list[Exposed] = []
    data += bytes(9000)  # memory goes on
    for match in RULES.match(data=data):
        for string in match.strings:
            for instance in string.instances:
                area = data[instance.offset : instance.offset + 8192]
                span = secret_span(area, match.meta.get("secret"))
                length = instance.matched_length
                if match.meta.get("secret") and span and span[0] < length and span != (0, len(area)):
                    length = max(length, span[1])
                out += [each for each in shapes(match.rule, area[:length]) if each not in out]
    return out


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def token(algorithm: str, signature: int) -> str:
    body = segment({"aud": ["a"], "sub": "system:serviceaccount:shop:api"})
    return f"{segment({'alg': algorithm, 'kid': 'k' * 20})}.{body}.{'s' * signature}"


@pytest.mark.parametrize(
    ("algorithm", "size"), [("RS256", 342), ("PS512", 683), ("ES256", 86), ("ES512", 176), ("HS256", 43), ("EdDSA", 86)]
)
def test_a_token_ends_where_its_signature_does(algorithm: str, size: int) -> None:
    whole = token(algorithm, size)
    assert secrets_of(b"\0" + whole.encode() + b"\0") == [Exposed("token", None, whole)]
    assert secrets_of(whole.encode() + b"gohere") == [Exposed("token", None, whole)], "letters of base64 behind it"
    assert size == 683 or secrets_of(token(algorithm, size - 2).encode()) == [], "not whole"


def test_what_is_no_token() -> None:
    for text in (
        token("none", 90),
        "eyJhbGciOiJSUzI1NiJ9.eyJh",
        f"{'eyJhbGciOi' + 'A' * 30}.eyJ{'A' * 30}.{'s' * 400}",
    ):
        assert secrets_of(text.encode()) == [], text


@pytest.mark.parametrize("where", TEXTS)
def test_aws(where: str) -> None:
    facts: dict[str, Any] = {"access_key_id": KEY, "account": "029608264753", "temporary": True}
    if where not in ("environment", "file"):
        facts["expiration"] = WHEN
    known = {(each.kind, each.value) for each in secrets_of(b"\0\0" + TEXTS[where].encode() + b"\0")}
    assert {("aws secret key", SECRET), ("aws session", TOKEN)} <= known
    kinds = [each for each in secrets_of(TEXTS[where].encode()) if each.kind == "aws secret key"]
    if where != "environment":  # each variable is met by itself there
        assert Exposed("aws secret key", KEY, SECRET, facts) in kinds


def test_a_key_id_alone() -> None:
    facts = {"access_key_id": KEY, "account": "029608264753", "temporary": True}
    assert secrets_of(f"x={KEY}.".encode()) == [Exposed("aws access key id", KEY, KEY, facts)]
    assert secrets_of(b"AKIAIOSFODNN7EXAMPLE ") == []


PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(["A" * 64] * 12) + "\n-----END RSA PRIVATE KEY-----"


def test_private_keys() -> None:
    assert secrets_of(PEM.encode() + b"\nrest") == [Exposed("private key", None, PEM)]
    assert secrets_of(PEM.replace("\n", "\\n").encode() + b'"') == [Exposed("private key", None, PEM)]
    assert secrets_of(b"-----BEGIN RSA PRIVATE KEY-----\0-----END RSA PRIVATE KEY-----") == []
    config = f"    client-key-data: {base64.b64encode(PEM.encode()).decode()}\n"
    assert secrets_of(config.encode()) == [Exposed("private key", "kubeconfig", PEM)]


def test_registry_passwords() -> None:
    auth = base64.b64encode(b"eva:correct-horse").decode()
    text = f'{{"auths": {{"https://index.docker.io/v1/": {{"username": "eva", "auth": "{auth}"}}}}}}'
    host = "https://index.docker.io/v1/"
    assert secrets_of(text.encode()) == [
        Exposed("registry password", host, "correct-horse", {"registry": host, "user": "eva"})
    ]
    assert secrets_of(text.replace(auth, base64.b64encode(b"no-colon-here").decode()).encode()) == []
    assert secrets_of(text.replace(auth, "A" * 13).encode()) == []


def test_urls() -> None:
    facts = {"scheme": "postgres", "user": "app", "host": "db.shop.svc"}
    assert secrets_of(b"\0postgres://app:hunter2-long@db.shop.svc:5432/x\0") == [
        Exposed("url password", "db.shop.svc", "hunter2-long", facts)
    ]
    assert secrets_of(b"postgres://db.shop.svc:5432/x") == []


def test_hostile_bytes() -> None:
    seeds = [
        PEM.encode(), token("RS256", 342).encode(), *(text.encode() for text in TEXTS.values()),
        b'"host": {"auth": "' + base64.b64encode(b"eva:correct-horse") + b'"}',
        b"client-key-data: " + base64.b64encode(PEM.encode()),
    ]  # fmt: skip
    rules = [rule.identifier for rule in RULES]
    for data in mutations(seeds, cases(300, 5000)):
        secrets_of(data)
        for rule in rules:
            assert all(isinstance(each.value, str) for each in shapes(rule, data))
    assert list(shapes("Unknown", b"x")) == []
