# SPDX-License-Identifier: Apache-2.0
"""The EKS guide's policies and template: valid, and with every action that memir asks for, and no other."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.images import ROOT

EKS = ROOT / "docs" / "examples" / "eks"
CALL = re.compile(r"""(?:calling\(|_call\(|\n\s+)"((?:s3|ssm|ec2):[A-Z][^"]*)",""")
POLICIES = sorted(EKS.glob("*.json"))


def statements(name: str) -> list[dict[str, Any]]:
    document = json.loads((EKS / f"{name}.json").read_text())
    assert document["Version"] == "2012-10-17"
    return list(document["Statement"])


def actions(name: str) -> set[str]:
    every = [statement["Action"] for statement in statements(name)]
    return {action for some in every for action in (some if isinstance(some, list) else [some])}


def asked(*folders: str) -> set[str]:
    """IAM actions that the code of these folders names where it calls AWS."""
    called: set[str] = set()
    for folder in folders:
        for path in (ROOT / "memir" / folder).rglob("*.py"):
            if "fetch" in path.parts:  # memir fetch-logs prints a policy of its own
                continue
            for words in CALL.findall(path.read_text()):
                called |= set(re.findall(r"(?:s3|ssm|ec2):[A-Z]\w+", words))
    return called - {"s3:CreateMultipartUpload", "s3:UploadPart", "s3:CompleteMultipartUpload", "s3:HeadObject"}


BESIDE = {"s3:AbortMultipartUpload", "kms:GenerateDataKey", "kms:Decrypt"}
"""Not asked for by name: an upload that is given up, and what S3 asks KMS for."""


def test_acquisition_over_ssm_may_what_it_asks_for_and_no_more() -> None:
    assert {"ssm:SendCommand", "ssm:CancelCommand", "s3:PutObject", "ec2:DescribeInstances"} <= asked("acquire", "aws")
    assert actions("acquire-ssm") == asked("acquire", "aws") | BESIDE


def test_the_other_ways_need_the_bucket_alone() -> None:
    assert actions("acquire-pod-or-ssh") == {
        action for action in actions("acquire-ssm") if action.split(":")[0] in ("s3", "kms")
    }


def test_analysis_reads_only() -> None:
    assert {action for action in actions("analyze") if not re.search(r":(Get|List|Decrypt)", action)} == set()


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_no_policy_has_stars_that_it_need_not(path: Any) -> None:
    for statement in statements(path.stem):
        some = statement["Action"]
        assert "*" not in "".join(some if isinstance(some, list) else [some])
        # Describe and List of EC2 and SSM know no resource; CancelCommand and GetCommandInvocation neither
        if statement["Resource"] == "*":
            assert statement["Sid"] in ("FollowCommands", "HowMuchMemory")


def test_the_template_passes_cfn_lint() -> None:
    from cfnlint.api import lint  # two seconds to import, which every process of a run would wait for

    found = lint((EKS / "evidence-bucket.yaml").read_text(), regions=["eu-west-1", "us-east-1"])
    assert [(match.rule.id, match.linenumber, match.message) for match in found] == []


def test_cfn_lint_would_say_what_is_wrong() -> None:
    from cfnlint.api import lint

    wrong = (EKS / "evidence-bucket.yaml").read_text().replace("ObjectLockEnabled: Enabled", "ObjectLockEnabled: Maybe")
    assert lint(wrong, regions=["eu-west-1"]) != []


def test_the_template_locks_encrypts_and_keeps() -> None:
    from cfnlint import decode

    template, faults = decode.decode(str(EKS / "evidence-bucket.yaml"))
    assert not faults
    resources = template["Resources"]
    bucket = resources["Evidence"]["Properties"]
    assert bucket["ObjectLockEnabled"] is True
    assert bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Mode"] == {"Ref": "LockMode"}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert {name for name, each in resources.items() if each.get("DeletionPolicy") == "Retain"} == {
        "Key", "AccessLogs", "Evidence",
    }  # fmt: skip
