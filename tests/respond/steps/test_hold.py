# SPDX-License-Identifier: Apache-2.0
"""Hold: what is set against what takes pods and nodes away, and what that does not stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from memir.respond.match import node_target
from memir.respond.steps.base import Facts
from memir.respond.steps.hold import hold_node, hold_pod
from tests.respond import shop

NOTES = "/metadata/annotations/"


def facts(path: Path, *extra: dict[str, Any]) -> Facts:
    return Facts("memir-0123abcd", shop.cluster(path, *extra))


def test_a_node(tmp_path: Path) -> None:
    about = facts(tmp_path)
    step = hold_node(about, node_target(about.cluster, shop.NODE))
    (change,) = step.changes
    assert change.after == {
        f"{NOTES}karpenter.sh~1do-not-disrupt": "true",
        f"{NOTES}cluster-autoscaler.kubernetes.io~1scale-down-disabled": "true",
        "/metadata/labels/memir~1incident": "memir-0123abcd",
    }
    assert set(change.before.values()) == {None} and change.uid == about.cluster.snapshot.nodes[shop.NODE].uid
    assert [right.words() for right in step.permissions] == [f"get nodes {shop.NODE}", f"patch nodes {shop.NODE}"]


@pytest.mark.parametrize(
    ("labels", "claim", "words"),
    [
        ({"karpenter.sh/nodepool": "np"}, "720h", "; its NodeClaim expires at 2026-12-31T10:00:00+00:00"),
        ({"karpenter.sh/nodepool": "np"}, "1h30m", "; its NodeClaim expires at 2026-12-01T11:30:00+00:00"),
        ({"karpenter.sh/nodepool": "np"}, "Never", "; its NodeClaim names no expiration"),
        ({"karpenter.sh/nodepool": "np"}, "soon", ""),
        ({"karpenter.sh/nodepool": "np"}, None, "; when it expires is not in the snapshot"),
        ({"eks.amazonaws.com/compute-type": "auto"}, None, "; Auto Mode ends it by 2026-12-22T10:00:00+00:00"),
    ],
)
def test_the_time_left(tmp_path: Path, labels: dict[str, str], claim: str | None, words: str) -> None:
    born = "2026-12-01T10:00:00Z"
    meta = {"name": "n", "labels": labels, "creationTimestamp": born}
    items: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Node", "metadata": meta}]
    if claim is not None:
        items.append({
            "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": {"name": "c", "creationTimestamp": born},
            "spec": {"expireAfter": claim}, "status": {"nodeName": "n"},
        })  # fmt: skip
    about = facts(tmp_path, *items)
    limits = hold_node(about, node_target(about.cluster, "n")).limits
    assert limits[0] == f"karpenter.sh/do-not-disrupt stops neither expiration nor node repair{words}"
    assert any("EKS Auto Mode: the instance" in limit for limit in limits) is ("compute-type" in str(labels))


def test_a_pod(tmp_path: Path) -> None:
    about = facts(tmp_path)
    web = next(pod for pod in about.cluster.snapshot.pods.values() if pod.name == shop.WEB)
    step = hold_pod(about, web)
    budget, fields = step.changes
    name = "memir-0123abcd-033d7310"
    assert yaml.safe_load(budget.manifest)["spec"] == {
        "minAvailable": 1, "selector": {"matchLabels": {"memir/incident": name}},
    }  # fmt: skip
    assert fields.after == {
        f"{NOTES}karpenter.sh~1do-not-disrupt": "true",
        f"{NOTES}cluster-autoscaler.kubernetes.io~1safe-to-evict": "false",
        "/metadata/labels/memir~1incident": name,
    }


def test_a_job_keeps_its_pods(tmp_path: Path) -> None:
    job = next(item for item in shop.items() if item["kind"] == "Job")
    job["spec"] |= {"ttlSecondsAfterFinished": 60, "activeDeadlineSeconds": 900}
    scaler = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "namespace": "shop"}, "spec": {"scaleTargetRef": {"kind": "Job", "name": "migrate"}},
    }  # fmt: skip
    about = facts(tmp_path, job, scaler)
    pod = next(pod for pod in about.cluster.snapshot.pods.values() if pod.name == shop.MIGRATE)
    step = hold_pod(about, pod)
    change = step.changes[-1]
    assert (change.target, change.before, change.after) == (
        "/apis/batch/v1/namespaces/shop/jobs/migrate", {"/spec/ttlSecondsAfterFinished": 60},
        {"/spec/ttlSecondsAfterFinished": None},
    )  # fmt: skip
    assert step.limits[1:] == (
        "HorizontalPodAutoscaler h may scale the workload down, and this pod with it",
        "Job migrate ends its pods 900 s after its start; that is immutable",
    )
