# SPDX-License-Identifier: Apache-2.0
"""An account in moto with a node as VPC CNI and the resource controller make it; every request that changes is kept.

Instance with two interfaces, a trunk's branch interface, a volume; an Auto Scaling group; an IRSA role; a profile.
EKS and the locks of snapshots, which moto lacks: eks_rig, lock_rig.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from memir.aws.client import Client, Connection, service_client
from memir.respond.account import TRUNK
from tests.respond.eks_rig import EksRig
from tests.respond.lock_rig import Locks
from tests.respond.worlds import Killed

READS = ("Describe", "Get", "List", "Simulate")
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/LAB"
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
ROLE, NODE_ROLE = "shop-web", "node"
ROLE_ARN = f"arn:aws:iam::123456789012:role/{ROLE}"
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKS{}Policy"
LOCKING = ("LockSnapshot", "UnlockSnapshot", "DescribeLockedSnapshots")
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


def _locked(model: Any, params: Any, **_: Any) -> Any:
    return _current[0].locks.answer(model.name, params["body"])


class AwsRig:
    """aws(service): a client. sent: (operation, parameters) of each request that changes anything."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        _current[:] = [self]
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.count, self.cut, self.late = 0, 0, False
        self.locks = Locks()
        self.eks = EksRig(
            lambda operation, asked: self._before(asked, SimpleNamespace(name=operation)),
            lambda operation, asked: self._after(),
        )
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
            for name in LOCKING if service == "ec2" else ():
                client.meta.events.register(f"before-call.ec2.{name}", _locked)
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
            roleArn=ROLE_ARN,
        )  # fmt: skip
        self.eks.create_access_entry(
            clusterName="prod", principalArn=ROLE_ARN, kubernetesGroups=["shop-ci"], tags={"team": "shop"}
        )
        for name, scope in (("View", {"type": "cluster"}), ("Edit", {"type": "namespace", "namespaces": ["shop"]})):
            self.eks.associate_access_policy(
                clusterName="prod", principalArn=ROLE_ARN, policyArn=POLICY.format(name), accessScope=scope
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
            "entries": {
                arn: (entry, sorted(self.eks.policies[arn], key=lambda item: str(item["policyArn"])))
                for arn, entry in self.eks.entries.items()
            },
            "locks": dict(self.locks.states),
            "associations": [
                (item["namespace"], item["serviceAccount"], item["roleArn"], item["tags"])
                for item in self.eks.associations.values()
            ],
        }  # fmt: skip
