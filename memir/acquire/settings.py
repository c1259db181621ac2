# SPDX-License-Identifier: Apache-2.0
"""What `memir acquire` takes as options: the shared ones here, a transport's in its own file (transports/registry.py).

An option is a field of a dataclass. The command line is made from the fields (memir/cli/common.py); a library user
fills the dataclass. Nothing heavy is imported: `memir acquire --help` reads this.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from memir.errors import UsageError


def option(
    default: Any, help: str, *flags: str, minimum: int | None = None, maximum: int | None = None,
    metavar: str | None = None,
) -> Any:  # fmt: skip
    """A field that is an option. flags: as on the command line; none: made from the field's name. default: MISSING of
    dataclasses for one that must be given."""
    metadata = {"help": help, "flags": flags, "min": minimum, "max": maximum, "metavar": metavar}
    if isinstance(default, list):
        return dataclasses.field(default_factory=list, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def argument(help: str, metavar: str, *, kw_only: bool = False) -> Any:
    """A field that is what the command is about: the words without a flag. kw_only: for one behind options."""
    return dataclasses.field(metadata={"help": help, "metavar": metavar, "argument": True}, kw_only=kw_only)


@dataclass
class Shared:
    """The options that every transport shares."""

    output: Path | None = option(None, "Evidence folder; must be new or empty.", "--output", "-o")
    to: str | None = option(None, "s3://BUCKET/PREFIX, or a folder (as -o).")
    tool: str = option("auto", "avml, lime or auto.")
    tool_path: Path | None = option(None, "The tool's file, instead of the tool store's.")
    format: str = option("avml", "avml (compressed) or lime (raw bytes).")
    dry_run: bool = option(False, "Print every step and every trace; change nothing.")
    sign_key: Path | None = option(None, "Ed25519 private key to sign the manifest with.")
    timestamp_url: str = option("", "RFC 3161 time stamp authority that dates the end; only a hash is sent.")
    case: str = option("", "Case or ticket, written into the manifest.")
    nice: int = option(10, "Niceness of the tool on the node.", minimum=0, maximum=19)
    limit_rate: str = option("", "Bytes a second at most, as 50M.")
    max_size: str = option("", "Bytes that the node may send at most, as 64G; by default what its RAM allows.")
    grace: int = option(300, "Seconds until the watchdog cleans up.", minimum=1)
    no_context: bool = option(False, "Take the image only.")
    cluster: bool = option(False, "Also take a snapshot of the Kubernetes API (no path: it goes into the evidence).")
    kubeconfig: str | None = option(None, "Instead of ~/.kube/config.")
    context: str | None = option(None, "Context of the kubeconfig.")
    isolating: bool = option(False, "You mean to cut the node off: print the order to keep.")
    via: str = option("", "To S3 from the node or through the controller; a pod's helper sends through it.")
    object_lock: str = option("", "GOVERNANCE:DAYS or COMPLIANCE:DAYS.")
    kms_key: str = option("", "KMS key that encrypts everything that is stored in S3.")
    bucket_owner: str | None = option(None, "Account (12 digits) that must own the bucket; another's is refused.")
    resume: Path | None = option(None, "Evidence folder of a run to S3 to go on with: its controller is gone.")
    parallel: int = option(4, "Nodes at once.", minimum=1, maximum=64)
    s3_endpoint: str | None = option(None, "Another S3 endpoint.")
    region: str | None = option(None, "AWS region.")
    profile: str | None = option(None, "AWS profile.")
    as_json: bool = option(False, "One JSON document on standard output.", "--json")


class StoreSettings(Protocol):
    """What settings say of S3, of an acquisition and of a collection."""

    region: str | None
    s3_endpoint: str | None
    profile: str | None
    bucket_owner: str | None
    object_lock: str
    kms_key: str


class TransportOptions(Protocol):
    """A transport's own options: a dataclass whose fields are options, in the transport's options.py."""

    def node_hash(self) -> bool:
        """Whether the node hashes the stream as well."""
        ...

    def check(self, shared: Shared) -> None:
        """Raises UsageError for options that do not go together, before anything is reached."""
        ...

    def names(self, shared: Shared) -> list[str]:
        """The nodes. Raises UsageError when none is named; may ask AWS or Kubernetes."""
        ...

    def transport(self, name: str, shared: Shared) -> Any:
        """The transport (transports/base.py) to one of them; imports what it needs."""
        ...

    def offline(self, name: str, shared: Shared) -> Any:
        """The same without any client: for its steps and traces alone."""
        ...


def size_of(text: str, name: str = "--limit-rate") -> int:
    """Bytes of a size as 50M; 0 for "". Raises UsageError."""
    if not text:
        return 0
    match = re.fullmatch(r"(\d{1,12})([KMG]?)i?B?", text.strip(), re.IGNORECASE)
    if not match or not int(match[1]):
        what = "rate: write bytes a second" if name == "--limit-rate" else "size: write bytes"
        raise UsageError(f"{name} {text!r} is no {what}, as 500K, 50M or 1G")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2].upper()]


def place_of(shared: Shared) -> str | None:
    """--to, or where the run that is gone on with sends to."""
    if shared.resume is None or shared.to is not None:
        return shared.to
    from memir.acquire.resume import read_previous

    return read_previous(shared.resume).place.rpartition("/")[0]
