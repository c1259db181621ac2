# SPDX-License-Identifier: Apache-2.0
"""`memir acquire ssm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memir.acquire.settings import Shared, option, place_of
from memir.errors import UsageError

if TYPE_CHECKING:
    from memir.acquire.transports.base import Transport
    from memir.aws.client import Connection


@dataclass
class SsmOptions:
    """Through AWS Systems Manager, straight to S3: no open port, no key, no secret in a command."""

    instance_id: list[str] = option([], "Once or several times.")
    selector: str | None = option(None, "Every node with these Kubernetes labels.", "--selector", "-l")
    tag: str | None = option(None, "Every instance with this tag: KEY=VALUE.")
    ssm_endpoint: str | None = option(None, "Another SSM endpoint.")

    def node_hash(self) -> bool:
        """The uploader on the node hashes every part by itself."""
        return False

    def check(self, shared: Shared) -> None:
        """SSM carries no image by itself."""
        place = place_of(shared)
        if place is None or not place.startswith("s3://"):
            raise UsageError("SSM carries no image by itself: pass --to s3://BUCKET/PREFIX")

    def names(self, shared: Shared) -> list[str]:
        """Instances by id, label and tag."""
        names = list(self.instance_id)
        if self.selector:
            from memir.kubeapi.client import KubeOptions
            from memir.kubeapi.nodes import instances

            names += instances(self.selector, KubeOptions(shared.kubeconfig, shared.context))
        if self.tag:
            from memir.aws.client import service_client
            from memir.aws.instances import instances_by_tag

            names += instances_by_tag(service_client("ssm", self._way(shared)), self.tag)
        if not names:
            raise UsageError("which instance? pass --instance-id, --selector LABEL=VALUE, or --tag KEY=VALUE")
        return list(dict.fromkeys(names))

    def transport(self, name: str, shared: Shared) -> Transport:
        """One instance; large data goes through the bucket."""
        from memir.acquire.transports.ssm.command import Commander
        from memir.acquire.transports.ssm.transport import SsmTransport
        from memir.aws.address import S3Address
        from memir.aws.client import Connection, s3_client, service_client

        way = self._way(shared)
        owner, key = shared.bucket_owner, shared.kms_key
        s3 = s3_client(Connection(shared.region, shared.s3_endpoint, shared.profile, owner, key))
        commander = Commander(service_client("ssm", way), name)
        spool = S3Address.parse(str(place_of(shared)))
        # an endpoint of one's own for SSM has no EC2 behind it
        ec2 = service_client("ec2", way) if self.ssm_endpoint is None else None
        return SsmTransport(commander, s3=s3, spool=spool, sts=service_client("sts", way), ec2=ec2)

    def offline(self, name: str, shared: Shared) -> Transport:
        """Without AWS's clients."""
        del shared
        from memir.acquire.transports.ssm.command import Commander
        from memir.acquire.transports.ssm.transport import SsmTransport

        return SsmTransport(Commander(None, name))

    def _way(self, shared: Shared) -> Connection:
        from memir.aws.client import Connection

        return Connection(shared.region, self.ssm_endpoint, shared.profile)
