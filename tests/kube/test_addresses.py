# SPDX-License-Identifier: Apache-2.0
"""What addresses are to a node, from its memory alone and with what the API says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kube.addresses import AWS, Addresses, Remote
from memir.kube.ram import RamSource
from memir.kube.snapshot import load_cluster
from tests.images import case, intruded

NodeOf = Callable[[str], RamSource]


def test_addresses_with_a_meaning(node_of: NodeOf) -> None:
    name = node_of("s-6.1-small").addresses.name
    assert name("169.254.169.254") == Remote("aws", "instance metadata")
    assert name("::ffff:169.254.170.23") == name("fd00:ec2::23") == Remote("aws", "Pod Identity agent")
    assert name("127.0.0.1").kind == name("::1").kind == "loopback"
    assert name("0.0.0.0") == name("::") == Remote()  # no address
    assert (name("8.8.8.8").kind, name("10.99.0.1").kind, name("224.0.0.1").kind) == ("outside", "private", "multicast")
    assert set(AWS.values()) >= {"VPC DNS", "NTP", "NodeLocal DNS", "ECS credentials"}


def test_pods_of_the_recording(node_of: NodeOf, image: str) -> None:
    """The address of each pod that has a network of its own, from memory alone; the node's are the node."""
    node = node_of(image)
    addresses = Addresses(node)
    raw = case(image).raw_truth()
    found = {one.address: one.pod_uid for one in addresses.pods}
    if case(image).small:
        shared = {row.pod_uid for row in node.pods.values() if row.host_network}
        want = {one["ip"]: one["uid"] for one in raw["pod"] if one["uid"] not in shared}
        assert {address: uid for address, uid in found.items() if ":" not in address} == want
    else:
        assert len(found) == 5
    for address, uid in found.items():
        assert addresses.name(address).kind == "pod" and addresses.name(address).pod_uid == uid
    host = node.membership.host["net"]
    own = [
        address for inum, _, address in addresses.interfaces if inum == host and not address.startswith(("127", "::1"))
    ]
    assert all(addresses.name(address).kind == "node" for address in own)


@pytest.mark.parametrize("name", intruded())
def test_pods_of_the_api(node_of: NodeOf, name: str) -> None:
    plain = node_of(name)
    node = RamSource(plain.kernel, load_cluster(case(name).beside("pods.json")))
    seen = {one.witness for one in node.addresses.pods}
    assert seen == {"interface", "API"}
    of_api = {one.address: one.pod_uid for one in node.addresses.pods if one.witness == "API"}
    for one in node.addresses.pods:
        if one.witness == "interface":
            assert of_api.get(one.address, one.pod_uid) == one.pod_uid
