# SPDX-License-Identifier: Apache-2.0
"""URLs by which a node stores one object; what it has to send with it stands in the URL's fragment.

A presigned PUT of an object that a KMS key encrypts has that key's headers in its signature: whoever sends must name
them. The fragment `#kms=KEY` tells the node (node/http.py, put.py, put_curl.sh); a fragment is never sent.
"""

from __future__ import annotations

from typing import Any

from memir.aws.client import Client


def put_url(client: Client, bucket: str, key: str, *, seconds: int, checksum: str = "") -> str:
    """A URL that stores one object, for `seconds`. checksum: base64 SHA-256 of the only bytes it takes, "" for any."""
    params: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if checksum:
        params["ChecksumSHA256"] = checksum
    # what the client adds to its own requests (aws/client.py), so that the key's name is known here
    model = client.meta.service_model.operation_model("PutObject")
    context = {"is_presign_request": True}
    client.meta.events.emit("provide-client-params.s3.PutObject", params=params, model=model, context=context)
    url: str = client.generate_presigned_url("put_object", Params=params, ExpiresIn=seconds)
    kms_key = params.get("SSEKMSKeyId", "")
    return f"{url}#kms={kms_key}" if kms_key else url
