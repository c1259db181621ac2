# SPDX-License-Identifier: Apache-2.0
"""Asking a time stamp authority (RFC 3161) about the manifest's end; memir/evidence/timestamp.py checks the answer."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from memir.errors import ConnectError, StorageError, UsageError
from memir.evidence.folder import TIMESTAMP
from memir.evidence.timestamp import MAX_RESPONSE, read_timestamp

TIMEOUT = 30.0


def check_url(url: str) -> str:
    """Raises UsageError for what is no http(s) address."""
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--timestamp-url {url!r}: write http://... or https://... of an RFC 3161 authority")
    return url


def stamp(folder: Path, message: bytes, url: str) -> str:
    """Have `message` stamped and keep the authority's response beside the manifest; the time that it gives.

    Only the message's SHA-256 leaves this machine. Raises ConnectError, StorageError.
    """
    from rfc3161_client import TimestampRequestBuilder

    token, wrong, answer = None, "", b""
    # some authorities send their certificates in an order that DER does not allow: then without any; whoever checks
    # the token gives them (--timestamp-ca)
    for certificates in (True, False):
        request = TimestampRequestBuilder().data(message).cert_request(cert_request=certificates).build()
        answer = _ask(url, request.as_bytes())
        token, wrong = read_timestamp(answer, message)
        if token is not None:
            break
    if token is None or wrong:
        raise ConnectError(f"the time stamp authority {url} gave an answer that {wrong}")
    try:
        (folder / TIMESTAMP).write_bytes(answer)
    except OSError as error:
        raise StorageError(f"cannot write {folder / TIMESTAMP}: {error}") from error
    return token.time


def _ask(url: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            answer: bytes = response.read(MAX_RESPONSE + 1)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise ConnectError(f"the time stamp authority {url} cannot be asked: {error}") from error
    if len(answer) > MAX_RESPONSE:
        raise ConnectError(f"the time stamp authority {url} sent more than {MAX_RESPONSE:,} bytes")
    return answer
