# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.kube.jwt import claims_of, decode_token, find_tokens, mask
from tests.fuzz import cases

CASES = cases(300)

# A bound token's claims as a 1.34 API server makes them.
CLAIMS: dict[str, Any] = {
    "aud": ["sts.amazonaws.com"],
    "exp": 1795558921,
    "iat": 1764022921,
    "iss": "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC",
    "jti": "5b0c8c0e",
    "kubernetes.io": {
        "namespace": "shop",
        "node": {"name": "ip-10-0-1-23.ec2.internal", "uid": "0e47713c"},
        "pod": {"name": "api-8489696577-l7df2", "uid": "a36289d2-54eb-4567-b8d7-4ab93a61ba30"},
        "serviceaccount": {"name": "api", "uid": "2b8770d8"},
        "warnafter": 1764026528,
    },
    "nbf": 1764022921,
    "sub": "system:serviceaccount:shop:api",
}


def encode(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def make(claims: Any, header: Any = None) -> str:
    return ".".join([encode(header or {"alg": "RS256", "kid": "x"}), encode(claims), encode(b"s" * 256)])


def test_a_bound_token() -> None:
    text = make(CLAIMS)
    token = decode_token(text)
    assert token is not None
    assert (token.namespace, token.service_account, token.service_account_uid) == ("shop", "api", "2b8770d8")
    assert (token.pod_name, token.pod_uid) == ("api-8489696577-l7df2", "a36289d2-54eb-4567-b8d7-4ab93a61ba30")
    assert token.node == "ip-10-0-1-23.ec2.internal"
    assert token.audiences == ("sts.amazonaws.com",)
    assert token.issued == datetime.fromtimestamp(1764022921, UTC)
    assert token.expires == datetime.fromtimestamp(1795558921, UTC)
    assert token.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert decode_token(text.encode() + b"\n") == token


def test_a_legacy_token() -> None:
    claims = {
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "ops",
        "kubernetes.io/serviceaccount/secret.name": "ci-token-x7",
        "kubernetes.io/serviceaccount/service-account.name": "ci",
        "kubernetes.io/serviceaccount/service-account.uid": "u",
        "sub": "system:serviceaccount:ops:ci",
    }
    token = decode_token(make(claims))
    assert token is not None
    assert (token.namespace, token.service_account, token.secret, token.service_account_uid) == (
        "ops",
        "ci",
        "ci-token-x7",
        "u",
    )
    assert token.pod_uid is None
    assert token.expires is None
    token = decode_token(make({"sub": "system:serviceaccount:ops:ci"}))
    assert token is not None
    assert (token.namespace, token.service_account) == ("ops", "ci")


def test_the_token_is_never_kept() -> None:
    text = make(CLAIMS)
    token = decode_token(text)
    for part in text.split("."):
        assert part not in repr(token)
    assert token is not None
    assert token.masked.startswith("eyJh***")


def test_mask() -> None:
    assert mask("hunter2") == f"*** (7 bytes, sha256 {hashlib.sha256(b'hunter2').hexdigest()[:16]})"
    assert mask(b"A" * 40).startswith("AAAA*** (40 bytes")
    assert mask("") == f"*** (0 bytes, sha256 {hashlib.sha256(b'').hexdigest()[:16]})"
    assert "\x1b" not in mask("\x1b[31m" + "x" * 40)
    mask("\ud800")


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "..", "a.b.c", "eyJ.eyJ.x", "x" * 100_000, "é.é.é"),
        *(make({"sub": "alice"}), make([]), make(CLAIMS, header=[1]), make(b"{"), make(b"[" * 100_000)),
        *(make({"sub": "system:serviceaccount:a:b:c"}), make(b"\xff")),
    ],
)
def test_not_a_service_accounts_token(text: str) -> None:
    assert decode_token(text) is None


@pytest.mark.parametrize("junk", [None, 1, [], {}, "x", True, 1e300, -1e300, 1 << 70])
def test_wrong_types(junk: Any) -> None:
    for key in CLAIMS:
        decode_token(make(CLAIMS | {key: junk}))
    for key in CLAIMS["kubernetes.io"]:
        token = decode_token(make(CLAIMS | {"kubernetes.io": CLAIMS["kubernetes.io"] | {key: junk}}))
        assert token is not None
        assert token.namespace in ("shop", "x")


def test_tokens_in_memory() -> None:
    one, two = make(CLAIMS), make(CLAIMS | {"iat": 1})
    data = b"\0\xff" + one.encode() + b"\0AWS=" + two.encode() + b"\n" + one[:300].encode() + b"eyJx.eyJy.z"
    found = list(find_tokens(data))
    assert [offset for offset, _ in found] == [2, 2 + len(one) + 5]
    assert [token.sha256 for _, token in found] == [hashlib.sha256(text.encode()).hexdigest() for text in (one, two)]
    assert list(find_tokens(memoryview(data))) == found


def test_hostile_memory_is_fast() -> None:
    start = time.process_time()
    for data in (
        b"eyJ" * 700_000,
        b"eyJ" + b"a" * 2_000_000,
        (b"eyJ" + b"a" * 990 + b".eyJ" + b"a" * 990) * 500,
    ):
        list(find_tokens(data))
    assert time.process_time() - start < 20


@settings(max_examples=CASES, deadline=None)
@given(
    st.text()
    | st.binary()
    | st.binary().map(make)
    | st.dictionaries(st.sampled_from(sorted(CLAIMS)), st.text()).map(make)
)
def test_any_text_is_read(text: str | bytes) -> None:
    decode_token(text)
    mask(text)


def test_claims_of_any_web_token() -> None:
    body = base64.urlsafe_b64encode(b'{"sub": "a"}').decode().rstrip("=")
    head = base64.urlsafe_b64encode(b'{"alg": "none"}').decode().rstrip("=")
    assert claims_of(f"{head}.{body}.sig") == {"sub": "a"}
    for text in (
        "",
        "a.b",
        f"{head}.{body}",
        f"{body}.x.sig",
        f"x.{body}.sig",
        "é.é.é",
        f"{head}.{body}." + "s" * (16 << 10),
    ):
        assert claims_of(text) is None
