# SPDX-License-Identifier: Apache-2.0
"""AWS clients: the only place that makes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from memir.aws.errors import credentials_error

Client = Any
"""A boto3 client: its methods are made at run time."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach AWS. None: as the environment and ~/.aws say; endpoint: None for Amazon's own.

    owner: the account that must own every bucket; S3 refuses requests to another's (ExpectedBucketOwner).
    """

    region: str | None = None
    endpoint: str | None = None
    profile: str | None = None
    owner: str | None = None


def s3_client(to: Connection, *, retries: int = 5, connections: int = 10, **credentials: str) -> Client:
    """An S3 client that signs with SigV4 and adds no checksum of its own. Raises AccessError.

    retries: attempts of each request. connections: kept open at a time.
    """
    client = _client(
        "s3", to,
        {
            "signature_version": "s3v4",
            "s3": {"addressing_style": "path" if to.endpoint else "auto"},
            "retries": {"mode": "standard", "total_max_attempts": retries},
            "max_pool_connections": connections,
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
        **credentials,
    )  # fmt: skip
    if to.owner:
        client.meta.events.register("provide-client-params.s3", partial(_expect_owner, to.owner))
    return client


def _expect_owner(owner: str, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
    """Name the owner in every request that can.

    Not in URLs for the node: they are signed for an upload whose bucket was asked already, and the node's uploader
    sends no header but the checksum.
    """
    if not context.get("is_presign_request") and "ExpectedBucketOwner" in model.input_shape.members:
        params.setdefault("ExpectedBucketOwner", owner)


def service_client(service: str, to: Connection) -> Client:
    """A client of another service (ssm, sts, ec2) with short timeouts and standard retries. Raises AccessError."""
    # no retries of its own: a SendCommand whose answer was lost must not be sent twice (ssm/command.py repeats)
    return _client(service, to, {"retries": {"mode": "standard", "total_max_attempts": 1 if service == "ssm" else 5}})


def _client(service: str, to: Connection, settings: dict[str, Any], **credentials: str) -> Client:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        # a session of its own: boto3's default one remembers the credentials of the first call
        session: Any = boto3.Session(profile_name=to.profile, region_name=to.region)
        return session.client(
            service, endpoint_url=to.endpoint, config=Config(connect_timeout=10, read_timeout=60, **settings),
            **credentials,
        )  # fmt: skip
    except (BotoCoreError, ValueError) as error:
        if (known := credentials_error(error, f"AWS {service}")) is not None:
            raise known from error
        raise
