# SPDX-License-Identifier: Apache-2.0
"""An account in moto with a node as VPC CNI and the resource controller make it; every request that changes is kept.

Instance with two interfaces, a trunk's branch interface, a volume; an Auto Scaling group; an IRSA role; a profile.
EKS Pod Identity, which moto lacks: PodIdentity, in-process, strict.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from memir.aws.client import Client, Connection, service_client
from memir.respond.account import TRUNK
from tests.respond.worlds import Killed

READS = ("Describe", "Get", "List", "Simulate")
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/LAB"
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
ROLE, NODE_ROLE = "shop-web", "node"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{ISSUER}:sub": "system:serviceaccount:shop:default"}},
        }
    ],
}  # fmt: skip


_current: list[Any] = []
_clients: dict[tuple[str, str | None], Client] = {}
"""A client takes a second to make: one for all rigs of a process, told of to the rig of the moment."""


def _tell(**more: Any) -> None:
    _current[0]._before(**more)


class PodIdentity:
    """EKS's associations: refuses what is not exactly an association of the cluster."""

    def __init__(self) -> None:
        self.associations: dict[str, dict[str, Any]] = {}
        self.number = 0

    def create_pod_identity_association(self, **more: Any) -> dict[str, Any]:
        assert set(more) <= {"clusterName", "namespace", "serviceAccount", "roleArn", "tags", "targetRoleArn"}
        pair = (more["namespace"], more["serviceAccount"])
        assert pair not in {(item["namespace"], item["serviceAccount"]) for item in self.associations.values()}
        self.number += 1
        ident = f"a-{self.number}"
        self.associations[ident] = more | {"associationId": ident}
        return {"association": self.associations[ident]}

    def list_pod_identity_associations(self, **asked: Any) -> dict[str, Any]:
        assert set(asked) == {"clusterName", "namespace", "serviceAccount"}
        rows = [ident for ident, item in self.associations.items() if asked.items() <= item.items()]
        return {"associations": [{"associationId": ident} for ident in rows]}

    def describe_pod_identity_association(self, *, clusterName: str, associationId: str) -> dict[str, Any]:  # noqa: N803
        assert self.associations[associationId]["clusterName"] == clusterName
        return {"association": self.associations[associationId]}

    def delete_pod_identity_association(self, *, clusterName: str, associationId: str) -> dict[str, Any]:  # noqa: N803
        assert self.associations[associationId]["clusterName"] == clusterName
        return {"association": self.associations.pop(associationId)}


class AwsRig:
    """aws(service): a client. sent: (operation, parameters) of each request that changes anything."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        _current[:] = [self]
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.count, self.cut, self.late = 0, 0, False
        self.eks = PodIdentity()
        self._build()
        self.sent.clear()
        self.count = 0

    def aws(self, service: str) -> Client:
        if service == "eks":
            return self.eks
        key = (service, self.connection.endpoint)
        if key not in _clients:
            client = service_client(service, self.connection, attempts=1)
            client.meta.events.register("before-parameter-build", _tell)
            client.meta.events.register("after-call", lambda **more: _current[0]._after())
            _clients[key] = client
        return _clients[key]

    def _before(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.count += 1
        if self.count == self.cut and not self.late:
            raise Killed
        if not model.name.startswith(READS):
            self.sent.append((model.name, dict(params)))

    def _after(self) -> None:
        if self.count == self.cut:
            raise Killed

    @contextmanager
    def killed(self, number: int, late: bool) -> Iterator[None]:
        """The request of that number kills the caller."""
        self.count, self.cut, self.late = 0, number, late
        yield
        self.cut = 0

    def _build(self) -> None:
        ec2, iam, asg = self.aws("ec2"), self.aws("iam"), self.aws("autoscaling")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        self.vpc = vpc
        self.groups = [
            ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
            for name in ("node", "cluster", "branch")
        ]
        image = "ami-12c6146b"  # of moto's own
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))
        nobody = {"Version": "2012-10-17", "Statement": []}
        iam.create_role(RoleName=NODE_ROLE, AssumeRolePolicyDocument=json.dumps(nobody))
        self.profile = iam.create_instance_profile(InstanceProfileName=NODE_ROLE)["InstanceProfile"]["Arn"]
        iam.add_role_to_instance_profile(InstanceProfileName=NODE_ROLE, RoleName=NODE_ROLE)
        template = ec2.create_launch_template(
            LaunchTemplateName="t", LaunchTemplateData={"ImageId": image, "InstanceType": "m5d.large"}
        )["LaunchTemplate"]["LaunchTemplateId"]  # fmt: skip
        asg.create_auto_scaling_group(
            AutoScalingGroupName="ng", MinSize=1, MaxSize=1, DesiredCapacity=1, VPCZoneIdentifier=subnet,
            LaunchTemplate={"LaunchTemplateId": template},
        )  # fmt: skip
        asg.suspend_processes(AutoScalingGroupName="ng", ScalingProcesses=["AZRebalance"])
        group = asg.describe_auto_scaling_groups(AutoScalingGroupNames=["ng"])["AutoScalingGroups"][0]
        self.instance = group["Instances"][0]["InstanceId"]
        ec2.create_tags(Resources=[self.instance], Tags=[{"Key": "eks:cluster-name", "Value": "prod"}])
        ec2.associate_iam_instance_profile(InstanceId=self.instance, IamInstanceProfile={"Arn": self.profile})
        own = ec2.describe_network_interfaces(
            Filters=[{"Name": "attachment.instance-id", "Values": [self.instance]}]
        )["NetworkInterfaces"]  # fmt: skip
        second = ec2.create_network_interface(SubnetId=subnet, Groups=self.groups[:2])["NetworkInterface"]
        ec2.attach_network_interface(
            DeviceIndex=1, InstanceId=self.instance, NetworkInterfaceId=second["NetworkInterfaceId"]
        )
        branch = ec2.create_network_interface(SubnetId=subnet, Groups=self.groups[2:])["NetworkInterface"]
        tag = [{"Key": TRUNK, "Value": second["NetworkInterfaceId"]}]
        ec2.create_tags(Resources=[branch["NetworkInterfaceId"]], Tags=tag)
        self.interfaces = sorted(item["NetworkInterfaceId"] for item in (own[0], second, branch))
        self.eks.create_pod_identity_association(
            clusterName="prod", namespace="shop", serviceAccount="default", tags={"team": "shop"},
            roleArn=f"arn:aws:iam::123456789012:role/{ROLE}",
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """What a plan may change, as it is."""
        ec2, iam, asg = self.aws("ec2"), self.aws("iam"), self.aws("autoscaling")
        interfaces = ec2.describe_network_interfaces(NetworkInterfaceIds=self.interfaces)["NetworkInterfaces"]
        group = asg.describe_auto_scaling_groups(AutoScalingGroupNames=["ng"])["AutoScalingGroups"][0]
        associations = ec2.describe_iam_instance_profile_associations(
            Filters=[{"Name": "instance-id", "Values": [self.instance]}]
        )["IamInstanceProfileAssociations"]  # fmt: skip
        groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["SecurityGroups"]
        names = {item["GroupId"]: item["GroupName"] for item in groups}
        return {
            "groups": {
                item["NetworkInterfaceId"]: sorted(names[each["GroupId"]] for each in item["Groups"])
                for item in interfaces
            },
            "there": sorted(names.values()),
            "suspended": sorted(item["ProcessName"] for item in group["SuspendedProcesses"]),
            "protected": group["Instances"][0]["ProtectedFromScaleIn"],
            "profile": [item["IamInstanceProfile"]["Arn"] for item in associations if item["State"] == "associated"],
            "trust": iam.get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"],
            "policies": iam.list_role_policies(RoleName=ROLE)["PolicyNames"],
            "associations": [
                (item["namespace"], item["serviceAccount"], item["roleArn"], item["tags"])
                for item in self.eks.associations.values()
            ],
        }  # fmt: skip
