# SPDX-License-Identifier: Apache-2.0
"""Whether the credentials outlast a run: renewed by themselves, or ending at a time that is said before the start."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from memir.aws.client import Client
from memir.evidence.plan import Check

EXPIRATION = "AWS_CREDENTIAL_EXPIRATION"
"""What `aws configure export-credentials --format env` and sso wrappers set beside the keys."""
_ADVICE = "take --profile NAME of a role or an SSO session, whose credentials are renewed while the run goes on"


def credentials_check(client: Client, expected: float, now: datetime | None = None) -> Check:
    """How long the client's credentials live beside how long the run is expected to take (seconds).

    Those that botocore renews (a profile's role, SSO, credential_process, an instance's role) outlast it; those of the
    environment do not. No secret is in the check's words.
    """
    now = now or datetime.now(UTC)
    credentials: Any = client._request_signer._credentials  # the only place that knows how they were come by
    span = f"the run is expected to take {_span(expected)}"
    if credentials is None:
        return Check("credentials", "warn", "none are known yet", "sign in")
    fixed = getattr(credentials, "method", "") == "env"
    ends = _ending(credentials)
    if ends is None and not getattr(credentials, "token", None):
        return Check("credentials", "ok", "an access key, which does not end by itself")
    if not fixed and hasattr(credentials, "refresh_needed"):
        return Check("credentials", "ok", f"temporary ({credentials.method}), renewed while the run goes on")
    if ends is None:
        detail = f"temporary (a session token), and nothing tells when they end; {span}"
        return Check("credentials", "warn", detail, f"{_ADVICE}; or set {EXPIRATION} to have it compared")
    left = (ends - now).total_seconds()
    detail = f"the credentials end at {ends:%Y-%m-%dT%H:%M:%SZ}, in {_span(left)}; {span}"
    if left <= 0:
        return Check("credentials", "fail", f"the credentials ended at {ends:%Y-%m-%dT%H:%M:%SZ}", "sign in again")
    # half as long again: a node under attack is slow
    return Check("credentials", *(("ok", detail) if left > expected * 1.5 else ("warn", detail, _ADVICE)))


def _ending(credentials: Any) -> datetime | None:
    known = getattr(credentials, "_expiry_time", None)
    if isinstance(known, datetime):
        return known.astimezone(UTC)
    text = os.environ.get(EXPIRATION, "") if getattr(credentials, "method", "") == "env" else ""
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _span(seconds: float) -> str:
    minutes = max(0, round(seconds / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
