# SPDX-License-Identifier: Apache-2.0
"""AWS clients: the only place that makes them."""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from memir.aws.errors import credentials_error
from memir.errors import UsageError

OWNER = "MEMIR_BUCKET_OWNER"
_KEY = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")

Client = Any
"""A boto3 client: its methods are made at run time."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach AWS. None: as the environment and ~/.aws say; endpoint: None for Amazon's own.

    owner: the account that must own every bucket; S3 refuses requests to another's (ExpectedBucketOwner). None: as
    MEMIR_BUCKET_OWNER says, which reaches the processes that scan many images too. kms_key: encrypts every object that
    is made; "" leaves that to the bucket.
    """

    region: str | None = None
    endpoint: str | None = None
    profile: str | None = None
    owner: str | None = None
    kms_key: str = ""


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
    if owner := bucket_owner(to.owner):
        client.meta.events.register("provide-client-params.s3", partial(_expect_owner, owner))
    if to.kms_key:
        if not _KEY.fullmatch(to.kms_key):
            raise UsageError(f"--kms-key {to.kms_key!r} is no key: write its id, its ARN, or alias/NAME")
        client.meta.events.register("provide-client-params.s3", partial(_encrypt, to.kms_key))
    return client


def bucket_owner(named: str | None) -> str | None:
    """The account that must own a bucket: the one named, else MEMIR_BUCKET_OWNER's. Raises UsageError."""
    name, owner = ("--bucket-owner", named) if named is not None else (OWNER, os.environ.get(OWNER) or None)
    if owner is not None and not re.fullmatch("[0-9]{12}", owner):
        raise UsageError(f"{name} {owner!r}: write the account's 12 digits")
    return owner


def _encrypt(key: str, params: dict[str, Any], model: Any, **_: Any) -> None:
    """Name the key in every request that makes an object; the parts of an upload have its key by themselves."""
    if model.name in {"PutObject", "CreateMultipartUpload", "CopyObject"}:
        params.setdefault("ServerSideEncryption", "aws:kms")
        params.setdefault("SSEKMSKeyId", key)


def _expect_owner(owner: str, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
    """Name the owner in every request that can.

    Not in URLs for the node: they are signed for an upload whose bucket was asked already, and the node's uploader
    sends no header but the checksum.
    """
    if not context.get("is_presign_request") and "ExpectedBucketOwner" in model.input_shape.members:
        params.setdefault("ExpectedBucketOwner", owner)


def service_client(service: str, to: Connection, *, attempts: int = 5) -> Client:
    """A client of another service (ssm, sts, ec2) with short timeouts and standard retries. Raises AccessError.

    attempts: of each request; 1 where one whose answer was lost must not be sent twice.
    """
    # no retries of its own: a SendCommand whose answer was lost must not be sent twice (ssm/command.py repeats)
    tries = 1 if service == "ssm" else attempts
    return _client(service, to, {"retries": {"mode": "standard", "total_max_attempts": tries}})


@functools.cache
def _models(data_path: str | None) -> Any:
    """botocore's reader of endpoints and service models, which keeps what it has read: once for all sessions.

    Reading and parsing them anew was 0.2 s of processor time a client.
    """
    from botocore.loaders import Loader, create_loader

    paths = tuple(create_loader(data_path).search_paths)

    class Shared(Loader):
        @property
        def search_paths(self) -> list[str]:
            return list(paths)  # anew: each boto3.Session appends its own folder, which has none of our services

    return Shared()


def _client(service: str, to: Connection, settings: dict[str, Any], **credentials: str) -> Client:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
    from botocore.session import get_session

    try:
        # a session of its own: boto3's default one remembers the credentials of the first call
        inner = get_session()
        if to.profile is not None:  # before anything is asked of the session, which then keeps the profile it found
            inner.set_config_variable("profile", to.profile)
        inner.register_component("data_loader", _models(inner.get_config_variable("data_path")))
        session: Any = boto3.Session(region_name=to.region, botocore_session=inner)
        return session.client(
            service, endpoint_url=to.endpoint, config=Config(connect_timeout=10, read_timeout=60, **settings),
            **credentials,
        )  # fmt: skip
    except (BotoCoreError, ValueError) as error:
        if (known := credentials_error(error, f"AWS {service}")) is not None:
            raise known from error
        raise
