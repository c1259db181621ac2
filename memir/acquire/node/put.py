# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: PTH123  (nodes may have Python 3.6)
"""Store a file by a URL that is signed for its hash. In: FILE CHECKSUM (base64); the URL on standard input."""

import sys
import urllib.request


def main() -> None:
    """Store it, in one request."""
    url = sys.stdin.readline().strip()
    with open(sys.argv[1], "rb") as file:
        body = file.read()
    head = {"x-amz-checksum-sha256": sys.argv[2], "Content-Type": ""}
    # a key that encrypts the object stands in the fragment, which is not sent
    url, _, key = url.partition("#kms=")
    if key:
        head["x-amz-server-side-encryption"] = "aws:kms"
        head["x-amz-server-side-encryption-aws-kms-key-id"] = key
    urllib.request.urlopen(urllib.request.Request(url, body, head, method="PUT"), timeout=120)


if __name__ == "__main__":
    main()
