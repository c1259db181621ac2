# SPDX-License-Identifier: Apache-2.0
"""The table `api_pods`: the API's pods of other nodes, kept apart."""

from __future__ import annotations

import json
from pathlib import Path

from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.kube.snapshot import load_cluster
from memir.symbols.locate import locate
from memir.tables.table import tables
from tests.images import case

PODS = Path(__file__).parents[1] / "kube" / "data" / "shapes" / "two-nodes.pods.json"


def test_pods_of_other_nodes(tmp_path: Path) -> None:
    document = json.loads(PODS.read_text())
    far = document["items"][1]
    far["metadata"] |= {
        "labels": {"app": "x", "a": "b"},
        "ownerReferences": [{"kind": "StatefulSet", "name": "x", "controller": True}],
    }
    far["spec"] |= {"serviceAccountName": "runner", "hostNetwork": False}
    far["status"] |= {"podIPs": [{"ip": "10.0.9.9"}, {"ip": "fd00::9"}], "hostIP": "10.0.9.1"}
    (tmp_path / "pods.json").write_text(json.dumps(document))
    memory = case("s-6.1-small").open()
    node = RamSource(Kernel(memory, locate(memory)), load_cluster(tmp_path))
    rows = tables()["api_pods"].read(node).rows()
    assert [row["pod_name"] for row in rows] == ["x-0", "y-0"]
    assert rows[0] == {
        "pod_uid": "dddddddd-4444-4444-8444-0123456789ab", "pod_name": "x-0", "namespace": "other", "node": "node-b",
        "pod_ips": ["10.0.9.9", "fd00::9"], "host_ip": "10.0.9.1", "host_network": False, "phase": "Running",
        "service_account": "runner", "owner": "StatefulSet/x", "workload": "StatefulSet/x",
        "labels": ["a=b", "app=x"], "source": "API",
    }  # fmt: skip
    assert tables()["api_pods"].read(RamSource(node.kernel)).rows() == []
