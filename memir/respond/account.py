# SPDX-License-Identifier: Apache-2.0
"""What only AWS knows of a node and its pods: interfaces, groups, volumes, Auto Scaling, profile. Reads alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memir.errors import StateError
from memir.respond.actions.aws import ask
from memir.respond.actions.base import World

TRUNK = "vpcresources.k8s.aws/trunk-eni-id"
"""Tag of a branch interface (security groups for pods): its trunk. The VPC resource controller sets it."""
PAGES, MAX_ASSOCIATIONS = 10, 500
CLUSTER_TAGS = ("eks:cluster-name", "aws:eks:cluster-name", "eks:eks-cluster-name")


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """interfaces: (id, groups, kind), those of branch interfaces too. operator: who has locked it, "" nobody."""

    instance_id: str
    vpc: str
    kind: str
    interfaces: Sequence[tuple[str, tuple[str, ...], str]]
    volumes: tuple[str, ...]
    instance_store: int = 0
    profile: str = ""
    operator: str = ""
    group: str = ""
    protected: bool = False
    suspended: tuple[str, ...] = ()
    spot: bool = False
    cluster: str = ""


def ask_instance(world: World, instance_id: str) -> InstanceFacts:
    """Everything about an instance, by reads alone. Raises StateError for one that is gone, AccessError."""
    where = f"instance {instance_id}"
    answer = ask(world, "ec2", "DescribeInstances", where, InstanceIds=[instance_id])
    instances = [item for group in answer["Reservations"] for item in group["Instances"]]
    if not instances or instances[0].get("State", {}).get("Name") in ("terminated", "shutting-down"):
        raise StateError(f"{where} is gone")
    instance: dict[str, Any] = instances[0]
    named = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    operator = instance.get("Operator") or {}
    group, protected, suspended = _auto_scaling(world, instance_id)
    return InstanceFacts(
        instance_id, str(instance.get("VpcId") or ""), str(instance.get("InstanceType") or ""),
        _interfaces(world, instance_id),
        tuple(sorted(item["Ebs"]["VolumeId"] for item in instance.get("BlockDeviceMappings", []) if "Ebs" in item)),
        _instance_store(world, str(instance.get("InstanceType") or "")),
        str((instance.get("IamInstanceProfile") or {}).get("Arn") or ""),
        str(operator.get("Principal") or "managed") if operator.get("Managed") else "",
        group, protected, suspended, instance.get("InstanceLifecycle") == "spot",
        next((named[key] for key in CLUSTER_TAGS if key in named), _owned(named)),
    )  # fmt: skip


def ask_role(world: World, cluster: str, namespace: str, account: str) -> str:
    """The role that EKS Pod Identity gives a service account, "" if none."""
    listed = ask(
        world, "eks", "ListPodIdentityAssociations", f"cluster {cluster}", clusterName=cluster, namespace=namespace,
        serviceAccount=account,
    )["associations"]  # fmt: skip
    if not listed:
        return ""
    association = ask(
        world, "eks", "DescribePodIdentityAssociation", f"cluster {cluster}", clusterName=cluster,
        associationId=listed[0]["associationId"],
    )["association"]  # fmt: skip
    return str(association["roleArn"])


def ask_holders(world: World, cluster: str, roles: Sequence[str]) -> list[tuple[str, str]]:
    """(namespace, account) of each Pod Identity association of these roles. Raises RemoteError; StateError for very
    many."""
    associations: list[dict[str, Any]] = []
    token: str | None = None
    for _ in range(PAGES):
        more = {"nextToken": token} if token else {}
        page = ask(world, "eks", "ListPodIdentityAssociations", f"cluster {cluster}", clusterName=cluster, **more)
        associations += page["associations"]
        token = page.get("nextToken")
        if not token:
            break
    if token or len(associations) > MAX_ASSOCIATIONS:
        raise StateError(f"cluster {cluster} has more than {MAX_ASSOCIATIONS} Pod Identity associations")
    holders = []
    for item in associations:
        described = ask(
            world, "eks", "DescribePodIdentityAssociation", f"cluster {cluster}", clusterName=cluster,
            associationId=item["associationId"],
        )["association"]  # fmt: skip
        if described["roleArn"] in roles:
            holders.append((str(described["namespace"]), str(described["serviceAccount"])))
    return sorted(holders)


def _owned(named: Mapping[str, str]) -> str:
    """NAME of a tag kubernetes.io/cluster/NAME."""
    prefix = "kubernetes.io/cluster/"
    return next((key.removeprefix(prefix) for key in named if key.startswith(prefix)), "")


def _interfaces(world: World, instance_id: str) -> list[tuple[str, tuple[str, ...], str]]:
    """Those that are attached, and the branches of those that are trunks."""
    where = f"instance {instance_id}"
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    items = ask(world, "ec2", "DescribeNetworkInterfaces", where, Filters=filters)["NetworkInterfaces"]
    ids = [item["NetworkInterfaceId"] for item in items]
    if ids:
        filters = [{"Name": f"tag:{TRUNK}", "Values": ids}]
        items += ask(world, "ec2", "DescribeNetworkInterfaces", where, Filters=filters)["NetworkInterfaces"]
    rows = {
        item["NetworkInterfaceId"]: (
            item["NetworkInterfaceId"], tuple(sorted(group["GroupId"] for group in item["Groups"])),
            str(item.get("InterfaceType") or "interface"),
        )
        for item in items
    }  # fmt: skip
    return [rows[key] for key in sorted(rows)]


def _auto_scaling(world: World, instance_id: str) -> tuple[str, bool, tuple[str, ...]]:
    """(group, protected from scale-in, suspended processes); ("", False, ()) of an instance of no group."""
    where = f"instance {instance_id}"
    instances = ask(world, "autoscaling", "DescribeAutoScalingInstances", where, InstanceIds=[instance_id])
    if not instances["AutoScalingInstances"]:
        return "", False, ()
    item = instances["AutoScalingInstances"][0]
    name = item["AutoScalingGroupName"]
    groups = ask(world, "autoscaling", "DescribeAutoScalingGroups", where, AutoScalingGroupNames=[name])
    processes = groups["AutoScalingGroups"][0].get("SuspendedProcesses", []) if groups["AutoScalingGroups"] else []
    return name, bool(item["ProtectedFromScaleIn"]), tuple(sorted(each["ProcessName"] for each in processes))


def _instance_store(world: World, kind: str) -> int:
    """Gigabytes of instance store that the type has: of what lies there EBS snapshots hold nothing."""
    if not kind:
        return 0
    types = ask(world, "ec2", "DescribeInstanceTypes", kind, InstanceTypes=[kind])["InstanceTypes"]
    return int((types[0].get("InstanceStorageInfo") or {}).get("TotalSizeInGB") or 0) if types else 0
