# SPDX-License-Identifier: Apache-2.0
"""Isolate the pod: the policy first, the one label second, and what it will not cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from memir.kube.apiobjects import ApiPod
from memir.respond.steps.base import Facts
from memir.respond.steps.isolate_pod import isolate_pod, limits_of, policy
from tests.respond import shop


def suspect(path: Path, name: str = shop.WEB, *extra: dict[str, Any]) -> tuple[Facts, ApiPod]:
    facts = Facts("memir-0123abcd", shop.cluster(path, *extra))
    return facts, next(pod for pod in facts.cluster.snapshot.pods.values() if pod.name == name)


def test_the_policy_then_the_label(tmp_path: Path) -> None:
    facts, pod = suspect(tmp_path)
    first, second = isolate_pod(facts, pod).changes
    name = "memir-0123abcd-033d7310"
    assert yaml.safe_load(first.manifest) == policy(name, facts, pod)
    assert policy(name, facts, pod)["spec"] == {
        "podSelector": {"matchLabels": {"memir/isolate": name}}, "policyTypes": ["Ingress", "Egress"],
    }  # fmt: skip
    assert (second.uid, second.after) == (pod.uid, {"/metadata/labels/memir~1isolate": name})


def test_what_it_will_not_cut(tmp_path: Path) -> None:
    enforced = "enforced by VPC CNI (DaemonSet aws-node with its network policy agent on)"
    assert limits_of(*suspect(tmp_path))[0] == enforced
    assert "connections that are tracked already may go on until they end" in limits_of(*suspect(tmp_path))
    bare = limits_of(*suspect(tmp_path, shop.LEDGER))
    assert bare[1].startswith("MAY CUT NOTHING: VPC CNI binds policies only to pods that have an owner")
    nobody = limits_of(*suspect(tmp_path, shop.WEB, shop.vpc_cni(False)))
    assert nobody[0].startswith("CUTS NOTHING: nobody enforces policies here (DaemonSet aws-node, whose network policy")
    host = next(item for item in shop.items() if item["metadata"]["name"] == shop.LEDGER)
    host["metadata"] |= {"name": "host", "uid": "00000000-0000-4000-8000-000000000001"}
    host["spec"]["hostNetwork"] = True
    assert limits_of(*suspect(tmp_path, "host", host))[1].startswith("CUTS NOTHING: the pod uses the node's network")
    allow = {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "allow", "namespace": "shop"}, "spec": {"podSelector": {}},
    }  # fmt: skip
    assert limits_of(*suspect(tmp_path, shop.WEB, allow))[-1].startswith("policies add up: what allow allows this pod")
