# SPDX-License-Identifier: Apache-2.0
"""Facts that only AWS has, then the steps in AWS: each request asserted, taken back, cut at any request."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
from pathlib import Path
from typing import Any

import pytest

from memir.errors import StateError, UsageError
from memir.respond.account import ask_instance
from memir.respond.plan import Choices, Plan
from memir.respond.resolve import resolve
from memir.respond.run import check_runnable
from memir.respond.steps.hold_instance import PROCESSES
from tests.respond import shop
from tests.respond.aws_rig import ISSUER, PROVIDER, ROLE, ROLE_ARN, TRUST, AwsRig
from tests.respond.worlds import AWS, Killed, run, take_back, world

CUTS = 40 if os.environ.get("CI") else 4


def resolved(account: AwsRig, path: Path) -> Plan:
    made = shop.on_instance(path, account.instance)
    plan = resolve(made, world(made, None, account.aws))
    steps = tuple(step for step in plan.steps if step.id.startswith(AWS))
    assert len(steps) == 5
    return dataclasses.replace(plan, steps=steps)


def test_facts_are_filled_in_by_reads_alone(account: AwsRig, tmp_path: Path) -> None:
    made = shop.on_instance(tmp_path, account.instance)
    assert [fact.split(":")[0].rpartition("-ip")[0] or fact.split(":")[0] for fact in made.unresolved()] == [
        "hold-instance", "snapshot-volumes", "revoke-profile", "revoke-role-shop-default", "isolate-node",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="the plan lacks 5 facts"):
        check_runnable(made)
    plan = resolve(made, world(made, None, account.aws))
    assert (plan.unresolved(), account.sent) == ([], [])
    changes = {change.id: change for step in plan.steps for change in step.changes}
    for interface in account.interfaces:
        change = changes[f"isolate-node-{shop.NODE}.{interface}"]
        assert change.calls[0].startswith(f"ec2:ModifyNetworkInterfaceAttribute {interface} (interface) Groups memir-")
    (limit,) = [limit for step in plan.steps for limit in step.limits if "INSTANCE STORE" in limit]
    assert limit.startswith("A m5d.large HAS 75 GB OF INSTANCE STORE")
    assert resolve(plan, world(plan, None)) == plan
    (revoke,) = [step for step in plan.steps if step.id == "revoke-role-shop-default"]
    assert f"pods of the account: toolbox, {shop.WEB}, web-7bf68f75d5-rqltp" in revoke.triggers  # of the cluster's view
    assert (
        f"whoever has {ROLE_ARN} loses its entry to the cluster's API: group shop-ci, AmazonEKSEditPolicy (namespace),"
        " AmazonEKSViewPolicy (cluster)" in revoke.triggers
    )
    assert [change.kind for change in revoke.changes] == [
        "iam-trust", "eks-association", "eks-access-entry", "iam-deny",
    ]  # fmt: skip


def test_each_request(account: AwsRig, tmp_path: Path) -> None:
    plan = resolved(account, tmp_path / "c")
    before = account.state()
    volumes = ask_instance(world(plan, None, account.aws), account.instance).volumes
    done = run(plan, tmp_path / "run", world(plan, None, account.aws))
    assert {each.outcome for each in done} == {"done"}
    after = account.state()
    opened, closed = (f"{plan.id}-{account.instance}-{which}" for which in ("open", "closed"))
    assert after["groups"] == {interface: [closed] for interface in account.interfaces}
    ids = {
        item["GroupName"]: item["GroupId"] for item in account.aws("ec2").describe_security_groups()["SecurityGroups"]
    }
    modified = [more for name, more in account.sent if name == "ModifyNetworkInterfaceAttribute"]
    assert modified == [
        {"NetworkInterfaceId": interface, "Groups": [ids[name]]}
        for interface in account.interfaces
        for name in (opened, closed)
    ]
    assert (after["protected"], after["suspended"], after["profile"]) == (True, sorted(PROCESSES), [])
    sent = dict(account.sent)
    assert sent["SuspendProcesses"] == {"AutoScalingGroupName": "ng", "ScalingProcesses": ["ReplaceUnhealthy"]}
    assert sent["CreateSnapshots"]["InstanceSpecification"] == {"InstanceId": account.instance}
    assert after["trust"]["Statement"] == [
        *TRUST["Statement"],
        {
            "Sid": f"Memir{plan.id.removeprefix('memir-')}0", "Effect": "Deny", "Principal": {"Federated": PROVIDER},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{ISSUER}:sub": "system:serviceaccount:shop:default"}},
        },
    ]  # fmt: skip
    policy = account.aws("iam").get_role_policy(RoleName=ROLE, PolicyName=plan.id)["PolicyDocument"]
    assert policy["Statement"] == [{
        "Effect": "Deny", "Action": ["*"], "Resource": ["*"],
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-11-29T10:00:00+00:00"}},
    }]  # fmt: skip
    assert (after["associations"], after["entries"]) == ([], {})
    assert sent["DeleteAccessEntry"] == {"clusterName": "prod", "principalArn": ROLE_ARN}
    (snapshot,) = account.locks.states
    assert sent["LockSnapshot"] == {"SnapshotId": snapshot, "LockMode": "governance", "LockDuration": 30}
    names = [name for name, _ in account.sent]
    assert names.index("UpdateAssumeRolePolicy") < names.index("PutRolePolicy")
    count = len(account.sent)
    outcomes = take_back(plan, tmp_path / "run", world(plan, None, account.aws))
    assert [(each.change.rpartition(".")[2], each.kept) for each in outcomes if each.kept] == [("snapshots", True)]
    assert account.state() == before
    back = [more for name, more in account.sent[count:] if name == "ModifyNetworkInterfaceAttribute"]
    assert [item["NetworkInterfaceId"] for item in back] == account.interfaces[::-1]  # straight to what was there
    snapshots = account.aws("ec2").describe_snapshots(Filters=[{"Name": "tag:memir-plan", "Values": [plan.id]}])
    assert [item["VolumeId"] for item in snapshots["Snapshots"]] == list(volumes)


def test_groups_that_changed_since_are_a_surprise(account: AwsRig, tmp_path: Path) -> None:
    plan = resolved(account, tmp_path / "c")
    account.aws("ec2").modify_network_interface_attribute(
        NetworkInterfaceId=account.interfaces[0], Groups=account.groups[:1]
    )  # fmt: skip
    with pytest.raises(StateError, match=f"{account.interfaces[0]}: groups \\[{account.groups[0]}\\] is there"):
        run(plan, tmp_path / "run", world(plan, None, account.aws))


def test_an_instance_that_is_gone(account: AwsRig, tmp_path: Path) -> None:
    made = shop.on_instance(tmp_path, account.instance)
    account.aws("ec2").terminate_instances(InstanceIds=[account.instance])
    with pytest.raises(StateError, match=f"instance {account.instance} is gone"):
        resolve(made, world(made, None, account.aws))


def test_cut_at_any_request(account: AwsRig, tmp_path: Path) -> None:
    """Killed before a request or after it: resumed, it ends as a run that was not; taken back, as before."""
    plan = resolved(account, tmp_path / "c")
    before = account.state()
    account.count = 0
    run(plan, tmp_path / "whole", world(plan, None, account.aws))
    count, after = account.count, account.state()
    take_back(plan, tmp_path / "whole", world(plan, None, account.aws))
    randomness = random.Random(5)
    for number in range(CUTS):
        folder, at_request = tmp_path / str(number), randomness.randint(1, count)
        with account.killed(at_request, number % 2 == 0):
            attempt(lambda where=folder: run(plan, where, world(plan, None, account.aws)))
        if number % 4 < 2:
            run(plan, folder, world(plan, None, account.aws), resume=True)
            assert account.state() == after
        with account.killed(randomness.randint(1, 40), number % 3 == 0):
            attempt(lambda where=folder: take_back(plan, where, world(plan, None, account.aws)))
        take_back(plan, folder, world(plan, None, account.aws))
        assert account.state() == before
    (volume,) = ask_instance(world(plan, None, account.aws), account.instance).volumes
    snapshots = account.aws("ec2").describe_snapshots(Filters=[{"Name": "volume-id", "Values": [volume]}])["Snapshots"]
    assert len(snapshots) == 1  # of all these runs of one plan


def attempt(action: Any) -> None:
    with contextlib.suppress(Killed):
        action()


def test_out_of_its_group_and_back_while_there_is_room(account: AwsRig, tmp_path: Path) -> None:
    made = dataclasses.replace(shop.on_instance(tmp_path / "c", account.instance), choices=Choices("detach", "none"))
    place = world(made, None, account.aws)
    plan = resolve(made, place)
    kinds = [change.kind for step in plan.steps for change in step.changes]
    assert "asg-detach" in kinds and not {"asg-protection", "asg-processes", "ec2-snapshot-lock"} & set(kinds)
    steps = tuple(step for step in plan.steps if step.id.startswith("hold-instance"))
    plan = dataclasses.replace(plan, steps=steps)
    run(plan, tmp_path / "run", place)
    assert ask_instance(place, account.instance).group == ""
    (kept,) = take_back(plan, tmp_path / "run", place)
    assert kept.kept and kept.words.startswith("Auto Scaling group ng has 1 instances, its MaxSize: raise that")
    account.aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName="ng", MaxSize=2)
    (back,) = take_back(plan, tmp_path / "run", place)
    assert (back.kept, ask_instance(place, account.instance).group) == (False, "ng")
