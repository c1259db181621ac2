# SPDX-License-Identifier: Apache-2.0
"""Which class makes which kind of change."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from memir.respond.actions.base import Action, World
from memir.respond.plan import ActionKind, Change

ACTIONS: Mapping[ActionKind, tuple[str, str]] = {
    "kube-fields": ("kube_fields", "KubeFields"),
    "kube-object": ("kube_object", "KubeObject"),
    "kube-room": ("kube_room", "KubeRoom"),
    "acquire": ("acquire", "Acquire"),
    "collect": ("collect", "Collect"),
    "ec2-group": ("ec2_group", "Ec2Group"),
    "ec2-groups": ("ec2_groups", "Ec2Groups"),
    "ec2-snapshots": ("ec2_snapshots", "Ec2Snapshots"),
    "ec2-profile": ("ec2_profile", "Ec2Profile"),
    "asg-protection": ("autoscaling", "AsgProtection"),
    "asg-processes": ("autoscaling", "AsgProcesses"),
    "asg-detach": ("asg_detach", "AsgDetach"),
    "ec2-snapshot-lock": ("ec2_snapshot_lock", "Ec2SnapshotLock"),
    "eks-access-entry": ("eks_access_entry", "EksAccessEntry"),
    "iam-deny": ("iam_deny", "IamDeny"),
    "iam-trust": ("iam_trust", "IamTrust"),
    "eks-association": ("eks_association", "EksAssociation"),
}


def action_of(change: Change, world: World) -> Action:
    """The action for a change; its module is imported when it is needed."""
    module, name = ACTIONS[change.kind]
    made: Action = getattr(importlib.import_module(f"memir.respond.actions.{module}"), name)(change, world)
    return made
