# SPDX-License-Identifier: Apache-2.0
"""Which logs: those of a cluster, of a time, and where it is asked for of one node; and what a source of logs is."""

from __future__ import annotations

import functools
import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from memir.aws.client import Client, Connection, s3_client, service_client
from memir.aws.errors import calling, cause_code
from memir.aws.fetch.window import Window
from memir.errors import AccessError, RemoteError, UsageError

_INSTANCE = re.compile(r"(i-[0-9a-f]{8,17})(?:\..*)?")
_ATTEMPTS = 10  # of each request: LookupEvents takes two a second


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of the destination. blocks: its bytes as they are kept, asked for when it is written.

    ends: the time after which nothing of it happened: until some minutes later it may grow. None: it does not grow.
    """

    name: str
    ends: datetime | None
    blocks: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Unread:
    """What is not, or not wholly, there. denied: for want of a permission."""

    source: str
    why: str
    denied: bool = False


@dataclass
class Scope:
    """What is asked for. unread: filled as sources find what they cannot give."""

    cluster: str
    window: Window
    to: Connection
    node: str = ""
    unread: list[Unread] = field(default_factory=list)
    _clients: dict[str, Client] = field(default_factory=dict)

    def client(self, service: str) -> Client:
        """The client of a service in the cluster's region, made once."""
        if service not in self._clients:
            make = functools.partial(service_client, service, self.to, attempts=_ATTEMPTS)
            self._clients[service] = s3_client(self.to, retries=_ATTEMPTS) if service == "s3" else make()
        return self._clients[service]

    @functools.cached_property
    def facts(self) -> dict[str, Any]:
        """The cluster as eks:DescribeCluster has it. UsageError where there is none of this name."""
        try:
            with calling("eks:DescribeCluster", f"cluster {self.cluster}"):
                cluster: dict[str, Any] = self.client("eks").describe_cluster(name=self.cluster)["cluster"]
        except RemoteError as error:
            if cause_code(error) == "ResourceNotFoundException":
                raise UsageError(
                    f"there is no cluster {self.cluster!r} in region {self.region}: give its name with --cluster-name,"
                    " its region with --region"
                ) from error
            raise
        return cluster

    @property
    def region(self) -> str:
        """The region that is asked."""
        return str(self.client("eks").meta.region_name)

    @property
    def account(self) -> str:
        """The account of the cluster, by its ARN."""
        return str(self.facts.get("arn", "::::")).split(":")[4]

    @property
    def vpc(self) -> str:
        """The cluster's VPC, "" where AWS does not say it."""
        return str(self.facts.get("resourcesVpcConfig", {}).get("vpcId", ""))

    @functools.cached_property
    def instance(self) -> dict[str, Any]:
        """The node as ec2:DescribeInstances has it; {} where no node is asked for. UsageError where there is none."""
        if not self.node:
            return {}
        match = _INSTANCE.fullmatch(self.node)
        asked: dict[str, Any] = {"InstanceIds": [match[1]]} if match else {
            "Filters": [{"Name": "private-dns-name", "Values": [self.node]}]
        }  # fmt: skip
        try:
            with calling("ec2:DescribeInstances", f"node {self.node}"):
                answer = self.client("ec2").describe_instances(**asked)
        except AccessError:
            raise
        except RemoteError as error:
            raise UsageError(f"--node {self.node}: {error}") from error
        instances = [item for group in answer["Reservations"] for item in group["Instances"]]
        if len(instances) != 1:
            raise UsageError(
                f"--node {self.node}: {len(instances)} instances have this name in region {self.region}: give "
                "an instance's id (i-...), or the node's name as Kubernetes has it"
            )
        return dict(instances[0])

    @property
    def interfaces(self) -> list[str]:
        """Ids of the node's network interfaces."""
        return [str(each["NetworkInterfaceId"]) for each in self.instance.get("NetworkInterfaces", ())]


@dataclass(frozen=True)
class Source:
    """name: word for --only, folder of its files. pieces: made one after the other. what: in a few words.

    actions: IAM actions that it needs, with the resources they are asked on (memir.aws.fetch.permissions).
    """

    name: str
    what: str
    pieces: Callable[[Scope], Iterable[Piece]]
    actions: tuple[tuple[str, str], ...]


def json_lines(items: Iterable[Any]) -> Iterator[bytes]:
    """Gzip of a line of JSON an item: times as ISO 8601."""
    return packed((json.dumps(item, default=_plain, separators=(",", ":")) for item in items), 1)


def packed(lines: Iterable[str], level: int = 6) -> Iterator[bytes]:
    """Gzip of lines, the same bytes for the same lines."""
    buffer = _Buffer()
    with gzip.GzipFile("", "wb", level, buffer, mtime=0) as file:
        for line in lines:
            file.write(line.encode("utf-8", "surrogatepass") + b"\n")
            if buffer.size > 1 << 20:
                yield buffer.take()
    yield buffer.take()


class _Buffer:
    """A file that keeps what is written until it is taken."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts, self.size = [], 0
        return data


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
