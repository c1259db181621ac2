# SPDX-License-Identifier: Apache-2.0
"""What each document says of a container becomes claims, field by field."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from memir.kube.annotations import Names
from memir.kube.apiobjects import ApiContainer, ApiEnd, ApiPod
from memir.kube.claims import Claims, Value, of_container
from memir.kube.container_claims import (
    claim_api,
    claim_cri,
    claim_registered,
    claim_sandbox,
    claim_spec,
    claim_state,
    claim_status,
)
from memir.kube.containerd import Registered
from memir.kube.cri_status import CriStatus
from memir.kube.kubelet import ContainerStatus
from memir.kube.oci import OciSpec
from memir.kube.runc import RuntimeState

ID, BEFORE = "a" * 64, "b" * 64
SUBJECT = of_container(ID)
SPEC = OciSpec("/run/x/config.json", True, container_name="web", host_pid=False, host_network=None, host_users=None)
AT = datetime(2026, 11, 23, 22, 27, 29, tzinfo=UTC)
NS = 1_795_472_849_000_000_000


def said(claims: Claims) -> dict[str, tuple[Value, str]]:
    return {claim.field: (claim.value, claim.witness) for claim in claims}


def test_spec_and_its_sandbox() -> None:
    """Where a container's own spec tells of a namespace, its sandbox's does not speak."""
    claims = Claims()
    claim_spec(SUBJECT, SPEC, claims)
    assert said(claims) == {"container_name": ("web", "spec"), "host_pid": (False, "spec")}
    sandbox = replace(SPEC, pod_uid="u", pod_name="web-0", namespace="shop", host_pid=True, host_network=True)
    claim_sandbox(SUBJECT, SPEC, sandbox, claims)
    assert said(claims) == {
        "container_name": ("web", "spec"), "host_pid": (False, "spec"), "host_network": (True, "sandbox"),
        "pod_uid": ("u", "sandbox"), "pod_name": ("web-0", "sandbox"), "namespace": ("shop", "sandbox"),
    }  # fmt: skip
    assert {claim.where for claim in claims} == {"/run/x/config.json"}


def test_the_runtimes_status_file() -> None:
    claims = Claims()
    claim_cri(CriStatus(ID, "/status", 3, "Error", NS, NS + 10**9), claims)
    assert said(claims) == {
        "exit_code": (3, "cri"), "reason": ("Error", "cri"), "started_at": (NS, "cri"),
        "finished_at": (NS + 10**9, "cri"),
    }  # fmt: skip
    # the kubelet's word decides, the API's does not
    claim_status(ContainerStatus(ID, "web", exit_code=4), claims)
    claim_api(ID, ApiPod("u", "web-0", "shop"), ApiContainer("web", "container", ID, exit_code=5), claims)
    assert claims.number(SUBJECT, "exit_code") == 4
    assert claims.number(SUBJECT, "finished_at") == NS + 10**9


def test_state_containerd_and_kubelet() -> None:
    claims = Claims()
    claim_state(SUBJECT, RuntimeState("/s", True, "runc", names=Names(kind="container", engine="containerd")), claims)
    assert said(claims) == {"kind": ("container", "state"), "runtime": ("containerd", "state")}
    claims = Claims()
    claim_registered(SUBJECT, Registered(ID, "k8s.io", "container", "i:1", pod_namespace="shop", attempt=0), claims)
    assert said(claims) == {
        "kind": ("container", "metadata"), "image": ("i:1", "metadata"), "namespace": ("shop", "metadata"),
        "containerd_namespace": ("k8s.io", "metadata"), "restarts": (0, "metadata"),
    }  # fmt: skip
    claims = Claims()
    claim_status(ContainerStatus(ID, "web", "init", "terminated", 137, "OOMKilled", 4, NS, NS), claims)
    assert said(claims) == {
        "kind": ("init", "status"), "container_name": ("web", "status"), "exit_code": (137, "status"),
        "reason": ("OOMKilled", "status"), "restarts": (4, "status"), "started_at": (NS, "status"),
        "finished_at": (NS, "status"),
    }  # fmt: skip


def test_api_of_the_present_container_and_the_one_before() -> None:
    pod = ApiPod("u", "web-0", "shop", config_hash="f" * 32)
    end = ApiEnd(BEFORE, 1, "Error", AT, AT)
    one = ApiContainer("web", "sidecar", ID, (ID, BEFORE), state="running", started_at=AT, restarts=3, last=end)
    claims = Claims()
    claim_api(ID, pod, one, claims)
    assert said(claims) == {
        "kind": ("sidecar", "API"), "container_name": ("web", "API"), "pod_uid": ("f" * 32, "API"),
        "pod_name": ("web-0", "API"), "namespace": ("shop", "API"), "started_at": (NS, "API"), "restarts": (3, "API"),
    }  # fmt: skip
    claims = Claims()
    claim_api(BEFORE, pod, one, claims)
    found = said(claims)
    assert (found["exit_code"], found["reason"], found["restarts"]) == ((1, "API"), ("Error", "API"), (2, "API"))
    claims = Claims()
    claim_api(BEFORE, pod, replace(one, last=None), claims)
    assert "restarts" not in said(claims)  # nothing is known of it but its id
