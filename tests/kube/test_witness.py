# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.kube.witness import (
    ENVIRONMENT,
    MountWitness,
    ShimWitness,
    env_witness,
    guest_witness,
    mount_witness,
    options_of,
    shim_witness,
)
from tests.fuzz import cases

CASES = cases(300)
TRUTH: dict[str, Any] = json.loads(
    gzip.decompress((Path(__file__).parent / "data/node-6.1.truth.json.gz").read_bytes())
)
A = "09e1f7cb94fabff587d4c1a8169ea2cc3b2e07075bc6460e1a3fca1b54538ef3"
UID = "312024f9-523b-4759-8d0b-e362735ecf77"


def test_shims_of_a_real_node() -> None:
    """The seventh is the container that neither kubelet nor API knows."""
    shims = [found for one in TRUTH["processes"] if (found := shim_witness(one["cmdline"]))]
    sandboxes = {
        ident
        for ident, spec in TRUTH["specs"].items()
        if (spec.get("annotations") or {}).get("io.kubernetes.cri.container-type") == "sandbox"
        and ident in TRUTH["states"]
    }
    assert len(shims) == 7
    assert len({shim.id for shim in shims} - sandboxes) == 1
    assert sandboxes <= {shim.id for shim in shims}
    assert {shim.namespace for shim in shims} == {"k8s.io"}


def test_mounts_of_a_real_node() -> None:
    """Every container's mount namespace names its pod, its sandbox and, by the termination log, itself."""
    init = {state["init_process_pid"]: ident for ident, state in TRUTH["states"].items()}
    seen = 0
    for process in TRUTH["processes"]:
        ident = init.get(process["pid"])
        if ident is None:
            continue
        notes = TRUTH["specs"][ident].get("annotations") or {}
        found = mount_witness(line.split()[3] for line in TRUTH["mounts"][process["mnt"]])
        if not notes:
            assert found == MountWitness()
            continue
        seen += 1
        assert found.sandbox_ids == (notes["io.kubernetes.cri.sandbox-id"],)
        if notes["io.kubernetes.cri.container-type"] == "container":
            pod = notes["io.kubernetes.cri.sandbox-uid"]
            assert found.pod_uids == (pod,)
            assert found.container_names == ((pod, notes["io.kubernetes.cri.container-name"]),)
    assert seen == 14
    host = next(one for one in TRUTH["processes"] if one["pid"] == 1)
    points = mount_witness(line.split()[4] for line in TRUTH["mounts"][host["mnt"]])
    assert set(points.container_ids) == set(TRUTH["states"])
    assert len(points.pod_uids) == 6


def test_environments_of_a_real_node() -> None:
    names = set()
    for process in TRUTH["processes"]:
        found = env_witness(process["environ"])
        assert not any("PASSWORD" in name or ("TOKEN" in name and "FILE" not in name) for name in found)
        if "KUBERNETES_SERVICE_HOST" in found:
            assert found["KUBERNETES_SERVICE_HOST"] == "10.100.0.1"
            names.add(found["HOSTNAME"])
        if "AWS_ROLE_ARN" in found:
            assert found["AWS_ROLE_ARN"] == "arn:aws:iam::111122223333:role/shop-api"
            assert found["AWS_WEB_IDENTITY_TOKEN_FILE"].startswith("/var/run/secrets/eks.amazonaws.com/")
    assert {"api-8489696577-l7df2", "ledger", "toolbox", "ip-10-0-1-23.ec2.internal"} <= names


def test_env_witness() -> None:
    found = env_witness(
        ["HOSTNAME=a", "HOSTNAME=b", "DB_PASSWORD=x", "POD_NAME", "POD_UID=", "=x", "", "AWS_ROLE_ARN=a=b"]
    )
    assert found == {"HOSTNAME": "a", "POD_UID": "", "AWS_ROLE_ARN": "a=b"}
    assert "AWS_SECRET_ACCESS_KEY" not in ENVIRONMENT


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (
            f"/var/lib/kubelet/pods/{UID}/volumes/kubernetes.io~projected/kube-api-access-x",
            MountWitness((UID,)),
        ),
        (f"/data/kubelet/pods/{UID}/etc-hosts", MountWitness((UID,))),
        (f"/lib/kubelet/pods/{UID}", MountWitness((UID,))),
        (f"/{UID}/volumes/kubernetes.io~empty-dir/x", MountWitness((UID,))),
        (f"/{UID}/etc-hosts", MountWitness((UID,))),
        (f"/home/{UID}/volumes/x", MountWitness()),
        (
            "/var/lib/kubelet/pods/487a0dc6dccaeefbcfedba7a7ce1ca18/etc-hosts",
            MountWitness(("487a0dc6dccaeefbcfedba7a7ce1ca18",)),
        ),
        (
            f"/var/lib/kubelet/pods/{UID}/containers/api/fc4135aa",
            MountWitness((UID,), container_names=((UID, "api"),)),
        ),
        (f"/run/containerd/io.containerd.grpc.v1.cri/sandboxes/{A}/shm", MountWitness(sandbox_ids=(A,))),
        (
            f"/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{A}/resolv.conf",
            MountWitness(sandbox_ids=(A,)),
        ),
        (f"/containers/storage/overlay-containers/{A}/userdata/shm", MountWitness(container_ids=(A,))),
        (f"/var/lib/docker/containers/{A}/hostname", MountWitness(container_ids=(A,))),
        (
            f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{A}/rootfs",
            MountWitness(container_ids=(A,)),
        ),
        (f"/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{A}", MountWitness(container_ids=(A,))),
        ("/", MountWitness()),
        ("", MountWitness()),
        (f"/sandboxes/{A}0/shm", MountWitness()),
        ("/pods/" * 100_000, MountWitness()),
    ],
)
def test_mount_paths(path: str, wanted: MountWitness) -> None:
    assert mount_witness([path, path]) == wanted


CONMON = f"/usr/bin/conmon -b /run/containers/storage/overlay-containers/{A}/userdata -c {A} --exit-dir /x -l /y"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            f"/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id {A} -address /run/x",
            ("shim", A, "k8s.io", None),
        ),
        (f"containerd-shim-runc-v2 -id {A} -namespace moby", ("shim", A, "moby", None)),
        (f"/x/containerd-shim-runc-v2 -namespace=k8s.io -id={A}", ("shim", A, "k8s.io", None)),
        ("containerd-shim-runc-v2 --namespace default --id web.1", ("shim", "web.1", "default", None)),
        (f"/usr/bin/containerd-shim-kata-v2 -namespace k8s.io -id {A}", ("shim", A, "k8s.io", "kata")),
        (f"containerd-shim-runsc-v1 -namespace k8s.io -id {A}", ("shim", A, "k8s.io", "gvisor")),
        (
            f"containerd-shim -namespace k8s.io -workdir /x/io.containerd.runtime.v1.linux/k8s.io/{A} -x",
            ("shim", A, "k8s.io", None),
        ),
        (
            f"docker-containerd-shim -workdir /x/io.containerd.runtime.v1.linux/moby/{A}",
            ("shim", A, "moby", None),
        ),
        (
            f"docker-containerd-shim {A} /var/run/docker/libcontainerd/{A} docker-runc",
            ("shim", A, None, None),
        ),
        (CONMON, ("conmon", A, None, None)),
        (f"/usr/bin/conmon --cid {A}", ("conmon", A, None, None)),
        (
            f"conmonrs --runtime-dir /run/containers/storage/overlay-containers/{A}/userdata",
            ("conmonrs", A, None, None),
        ),
    ],
)
def test_shims(line: str, wanted: tuple[str, ...]) -> None:
    found = shim_witness(line.split(" "))
    assert found is not None
    assert (found.kind, found.id, found.namespace, found.guest) == wanted


def test_conmon_names_its_pod() -> None:
    found = shim_witness([*CONMON.split(" "), "-n", f"k8s_api_api-1_shop_{UID}_0", "-u", A])
    assert found == ShimWitness("conmon", A, None, None, "api", "api-1", "shop", UID)
    found = shim_witness([*CONMON.split(" "), "-n", f"k8s_POD_api-1_shop_{UID}_0"])
    assert found == ShimWitness("conmon", A, None, None, None, "api-1", "shop", UID)


@pytest.mark.parametrize(
    "line",
    [
        *("", "containerd", "/usr/bin/containerd-shim-runc-v2", "containerd-shim-runc-v2 -id", "conmon"),
        *("conmon -c", "sh -c conmon", "conmonrs --runtime-dir /x", "kubelet -namespace k8s.io -id x"),
        f"sleep {A}",
    ],
)
def test_not_a_shim(line: str) -> None:
    assert shim_witness(line.split(" ")) is None
    assert shim_witness([]) is None


@pytest.mark.parametrize(
    ("comm", "line", "wanted"),
    [
        ("exe", f"runsc-sandbox --root=/run/containerd/runsc/k8s.io boot --bundle=/x {A}", ("gvisor", A)),
        ("runsc-gofer", "runsc-gofer --root=/x gofer", ("gvisor", None)),
        ("runsc", "", ("gvisor", None)),
        (
            "qemu-system-x86",
            f"/usr/bin/qemu-system-x86_64 -name sandbox-{A},debug-threads=on -uuid x",
            ("kata", A),
        ),
        (
            "cloud-hyperviso",
            f"/opt/kata/bin/cloud-hypervisor --api-socket /run/vc/vm/{A}/clh-api.sock",
            ("kata", A),
        ),
        (
            "virtiofsd",
            f"virtiofsd --shared-dir=/run/kata-containers/shared/sandboxes/{A}/shared",
            ("kata", A),
        ),
        ("sh", "sh -c runsc", None),
        ("qemu-system-x86", "qemu-system-x86_64 -name vm1", None),
        ("", "", None),
    ],
)
def test_guests(comm: str, line: str, wanted: tuple[str, str | None] | None) -> None:
    assert guest_witness(comm, line.split(" ") if line else []) == wanted


words = st.text(max_size=30) | st.sampled_from(
    [
        A,
        UID,
        "/pods/",
        "/sandboxes/",
        "-id",
        "-c",
        "-n",
        "conmon",
        "containerd-shim",
        "runsc",
        "/run/vc/vm/",
        "=",
    ]
)


@settings(max_examples=CASES, deadline=None)
@given(st.lists(st.lists(words, max_size=4).map("".join), max_size=6))
def test_any_text_is_read(lines: list[str]) -> None:
    env_witness(lines)
    mount_witness(lines)
    shim_witness(lines)
    guest_witness(lines[0] if lines else "", lines)


def test_options_of_a_command_line() -> None:
    line = ["/usr/bin/kubelet", "--node-ip=10.0.1.23", "--v", "2", "-id", "x", "--v=9", "--last"]
    assert options_of(line) == {"node-ip": "10.0.1.23", "v": "2", "id": "x", "last": ""}
    assert options_of([]) == {}
