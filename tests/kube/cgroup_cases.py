# SPDX-License-Identifier: Apache-2.0
"""Paths of cgroups as every runtime and driver writes them, and what they say."""

from __future__ import annotations

from memir.kube.cgroups import CgroupIds

A = "f45298cd514d1930c4fe3afc4412e59547f7e3148fddd22ca33cefce046eb830"
B = "ec08435e04266c5ba381fccbb829f626d11d8ddf5f8f547263c7a2d79ab4787a"
UID = "dd1bf9d1-241d-47f5-8e25-12de83135812"
UID_ = UID.replace("-", "_")
STATIC = "487a0dc6dccaeefbcfedba7a7ce1ca18"
BEST = f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice"
BURST = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice"
GUARANTEED = f"/kubepods.slice/kubepods-pod{UID_}.slice"
KIND = "/kubelet.slice/kubelet-kubepods.slice"
KIND_POD = f"{KIND}/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{UID_}.slice"
HOST = CgroupIds(runtime="docker", container_id=B, driver="systemd")


def pod(**more: object) -> CgroupIds:
    """A BestEffort pod's container under the systemd driver, but for what is given."""
    fields: dict[str, object] = {"container_id": A, "pod_uid": UID, "qos": "BestEffort", "driver": "systemd"}
    return CgroupIds(**(fields | more))  # type: ignore[arg-type]  # checked by the comparisons below


# Where the shapes come from, besides the documents named in cgroup_segments.py: the unit tests of
# neuvector/neuvector share/system/cgroup_test.go, spiffe/spire pkg/agent/plugin/workloadattestor/k8s,
# falcosecurity/libs userspace/libsinsp/test, DataDog/dd-trace-php tests/ext, Qard/container-info,
# coroot/coroot-node-agent cgroup, cilium/tetragon and open-telemetry's resource detectors.
CASES_BY_NAME: dict[str, tuple[str, CgroupIds | None]] = {
    # containerd, systemd driver
    "containerd besteffort": (f"{BEST}/cri-containerd-{A}.scope", pod(runtime="containerd")),
    "containerd burstable": (f"{BURST}/cri-containerd-{A}.scope", pod(runtime="containerd", qos="Burstable")),
    "containerd guaranteed": (
        f"{GUARANTEED}/cri-containerd-{A}.scope",
        pod(runtime="containerd", qos="Guaranteed"),
    ),
    "older prefix": (f"{BEST}/containerd-{A}.scope", pod(runtime="containerd")),
    "static pod": (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice/crio-{A}.scope",
        pod(runtime="cri-o", pod_uid=STATIC, qos="Burstable"),
    ),
    "static pod, cgroupfs": (
        f"/kubepods/burstable/pod{STATIC}/{A}",
        pod(pod_uid=STATIC, qos="Burstable", driver="cgroupfs"),
    ),
    "UID chosen in a static pod's manifest": (
        f"/kubepods.slice/kubepods-podmy_web_1.slice/cri-containerd-{A}.scope",
        pod(runtime="containerd", pod_uid="my-web-1", qos="Guaranteed"),
    ),
    "UID chosen, cgroupfs": (
        f"/kubepods/podmy-web_1/{A}",
        pod(pod_uid="my-web_1", qos="Guaranteed", driver="cgroupfs"),
    ),
    "pod only": (BEST, pod(container_id=None)),
    "pod only, cgroupfs": (
        f"/kubepods/pod{UID}",
        pod(container_id=None, qos="Guaranteed", driver="cgroupfs"),
    ),
    "upper case UID": (
        f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_.upper()}.slice/crio-{A}.scope",
        pod(runtime="cri-o"),
    ),
    "upper case id": (f"{BEST}/docker-{A.upper()}.scope", pod(runtime="docker")),
    "dashes where systemd has underscores": (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID}.slice/docker-{A}.scope",
        pod(runtime="docker", qos="Burstable"),
    ),
    "below the scope: systemd inside": (
        f"{BEST}/cri-containerd-{A}.scope/init.scope",
        pod(runtime="containerd", child="init.scope"),
    ),
    "below the scope: a service": (
        f"{BEST}/cri-containerd-{A}.scope/system.slice/ssh.service",
        pod(runtime="containerd", child="system.slice/ssh.service"),
    ),
    "custom kubelet root": (
        f"/prod.slice/prod-kubepods.slice/prod-kubepods-pod{UID_}.slice/cri-containerd-{A}.scope",
        pod(runtime="containerd", qos="Guaranteed"),
    ),
    "removed": (f"{BEST}/cri-containerd-{A}.scope (deleted)", pod(runtime="containerd")),
    "a line of /proc/PID/cgroup, v2": (f"0::{BEST}/cri-containerd-{A}.scope", pod(runtime="containerd")),
    "a line of /proc/PID/cgroup, v1": (
        f"2:cpu,cpuacct:{BEST}/cri-containerd-{A}.scope",
        pod(runtime="containerd"),
    ),
    "a named hierarchy": (f"1:name=systemd:{BEST}/cri-containerd-{A}.scope", pod(runtime="containerd")),
    "below the mount": (f"/sys/fs/cgroup/memory{BEST}/cri-containerd-{A}.scope", pod(runtime="containerd")),
    # containerd told systemd names, runc running the cgroupfs driver
    "mismatch below containerd": (
        f"/system.slice/containerd.service/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{A}",
        pod(runtime="containerd", driver="mismatch"),
    ),
    "mismatch at the root": (
        f"/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{A}",
        pod(runtime="containerd", driver="mismatch"),
    ),
    "mismatch, guaranteed": (
        f"/system.slice/containerd.service/kubepods-pod{UID_}.slice:cri-containerd:{A}",
        pod(runtime="containerd", qos="Guaranteed", driver="mismatch"),
    ),
    "mismatch below Bottlerocket's and EKS's runtime.slice": (
        f"/runtime.slice/containerd.service/kubepods-burstable-pod{UID_}.slice:cri-containerd:{A}",
        pod(runtime="containerd", qos="Burstable", driver="mismatch"),
    ),
    "mismatch the other way": (
        f"/kubepods/besteffort/pod{UID}:cri-containerd:{A}",
        pod(runtime="containerd", driver="mismatch"),
    ),
    "OCI cgroupsPath, systemd": (
        f"kubepods-besteffort-pod{UID_}.slice:cri-containerd:{A}",
        pod(runtime="containerd"),
    ),
    "OCI cgroupsPath, cgroupfs": (f"/kubepods/besteffort/pod{UID}/{A}", pod(driver="cgroupfs")),
    # cgroupfs driver
    "cgroupfs besteffort": (f"/kubepods/besteffort/pod{UID}/{A}", pod(driver="cgroupfs")),
    "cgroupfs guaranteed": (f"/kubepods/pod{UID}/{A}", pod(qos="Guaranteed", driver="cgroupfs")),
    "k3s": (f"/kubepods/burstable/pod{UID}/{A}", pod(qos="Burstable", driver="cgroupfs")),
    "kube-proxy below": (
        f"/kubepods/besteffort/pod{UID}/{A}/kube-proxy",
        pod(driver="cgroupfs", child="kube-proxy"),
    ),
    "Docker Desktop": (f"/kubepods/kubepods/besteffort/pod{UID}/{A}", pod(driver="cgroupfs")),
    "seen from a cgroup namespace": (
        f"/../../../burstable/pod{UID}/{A}",
        pod(qos="Burstable", driver="cgroupfs"),
    ),
    "no kubepods above": (f"/something/pod{UID}/{A}", pod(qos=None, driver="cgroupfs")),
    "id below kubepods, no pod": (f"/kubepods/{A}", CgroupIds(container_id=A, driver="cgroupfs")),
    # CRI-O
    "CRI-O": (f"{BEST}/crio-{A}.scope", pod(runtime="cri-o")),
    "CRI-O with its child": (f"{BEST}/crio-{A}.scope/container", pod(runtime="cri-o", child="container")),
    "CRI-O cgroupfs": (f"/kubepods/besteffort/pod{UID}/crio-{A}", pod(runtime="cri-o", driver="cgroupfs")),
    "CRI-O without pod": (
        f"0::/../crio-{A}.scope",
        CgroupIds(runtime="cri-o", container_id=A, driver="systemd"),
    ),
    "conmon in the pod": (
        f"{BEST}/crio-conmon-{A}.scope",
        pod(runtime="cri-o", container_id=None, monitor_of=A),
    ),
    "conmon in the pod, cgroupfs": (
        f"/kubepods/besteffort/pod{UID}/crio-conmon-{A}",
        pod(runtime="cri-o", container_id=None, monitor_of=A, driver="cgroupfs"),
    ),
    "conmon in system.slice": (
        f"/system.slice/crio-conmon-{A}.scope",
        CgroupIds(runtime="cri-o", monitor_of=A, driver="systemd"),
    ),
    # Docker
    "docker cgroupfs": (f"/docker/{A}", CgroupIds(runtime="docker", container_id=A, driver="cgroupfs")),
    "docker systemd": (
        f"/system.slice/docker-{A}.scope",
        CgroupIds(runtime="docker", container_id=A, driver="systemd"),
    ),
    "docker of old": (f"/{A}", CgroupIds(container_id=A, driver="cgroupfs")),
    "docker below a slice of its own": (
        f"/docker/apps/{A}",
        CgroupIds(runtime="docker", container_id=A, driver="cgroupfs"),
    ),
    "docker systemd in a pod": (f"{BEST}/docker-{A}.scope", pod(runtime="docker")),
    "docker from a cgroup namespace": (
        f"/../../kubepods-besteffort-pod{UID_}.slice/docker-{A}.scope",
        pod(runtime="docker"),
    ),
    "docker alone from a cgroup namespace": (
        f"/../docker-{A}.scope",
        CgroupIds(runtime="docker", container_id=A, driver="systemd"),
    ),
    "docker without root": (
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope",
        CgroupIds(runtime="docker", container_id=A, driver="systemd"),
    ),
    "docker with systemd inside": (
        f"/system.slice/docker-{A}.scope/init.scope",
        CgroupIds(runtime="docker", container_id=A, driver="systemd", child="init.scope"),
    ),
    "nested docker": (
        f"/docker/{B}/docker/{A}",
        CgroupIds(
            runtime="docker",
            container_id=A,
            driver="cgroupfs",
            outer=CgroupIds(runtime="docker", container_id=B, driver="cgroupfs"),
        ),
    ),
    "docker in a pod": (
        f"{BEST}/cri-containerd-{B}.scope/docker/{A}",
        pod(runtime="docker", driver="cgroupfs", outer=pod(runtime="containerd", container_id=B)),
    ),
    # kind
    "kind": (f"{KIND_POD}/cri-containerd-{A}.scope", pod(runtime="containerd")),
    "kind, guaranteed": (
        f"{KIND}/kubelet-kubepods-pod{UID_}.slice/cri-containerd-{A}.scope",
        pod(runtime="containerd", qos="Guaranteed"),
    ),
    "kind from its host": (
        f"/system.slice/docker-{B}.scope{KIND_POD}/cri-containerd-{A}.scope",
        pod(runtime="containerd", outer=HOST),
    ),
    "kind from its host, cgroupfs": (
        f"/docker/{B}/kubepods/besteffort/pod{UID}/{A}",
        pod(driver="cgroupfs", outer=CgroupIds(runtime="docker", container_id=B, driver="cgroupfs")),
    ),
    "kind's own services from its host": (
        f"/system.slice/docker-{B}.scope/system.slice/containerd.service",
        CgroupIds(runtime="docker", container_id=B, driver="systemd", child="system.slice/containerd.service"),
    ),
    # ECS
    "ECS, Docker": (
        f"/ecs/{UID}/{A}",
        CgroupIds(runtime="docker", container_id=A, driver="cgroupfs", task=UID),
    ),
    "ECS with the cluster's name": (
        f"/ecs/prod/{STATIC}/{A}",
        CgroupIds(runtime="docker", container_id=A, driver="cgroupfs", task=STATIC),
    ),
    "Fargate 1.4": (
        f"/ecs/{STATIC}/{STATIC}-1234567890",
        CgroupIds(runtime="containerd", container_id=f"{STATIC}-1234567890", driver="cgroupfs", task=STATIC),
    ),
    "Fargate 1.4, 9 digits": (
        f"/ecs/{STATIC}/{STATIC}-123456789",
        CgroupIds(runtime="containerd", container_id=f"{STATIC}-123456789", driver="cgroupfs", task=STATIC),
    ),
    # Guests
    "Kata": (
        f"/kubepods/besteffort/pod{UID}/kata_{A}",
        pod(runtime="kata", driver="cgroupfs", sandbox=True, guest="kata"),
    ),
    "Kata's overhead": (
        f"/kata_overhead/{A}",
        CgroupIds(runtime="kata", container_id=A, driver="cgroupfs", sandbox=True, guest="kata"),
    ),
    "Kata's overhead, told systemd's name": (
        f"/kata_overhead/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{A}",
        pod(runtime="containerd", driver="mismatch", sandbox=True, guest="kata"),
    ),
    "Kata, told systemd's name": (
        f"/kata_kubepods-besteffort-pod{UID_}.slice:cri-containerd:{A}",
        pod(runtime="containerd", driver="mismatch", sandbox=True, guest="kata"),
    ),
    "Kata's overhead, runtime-rs under systemd": (
        f"/kata-overhead.slice/runtime-rs-{A}.scope",
        CgroupIds(runtime="kata", container_id=A, driver="systemd", sandbox=True, guest="kata"),
    ),
    "gVisor": (f"{BEST}/runsc-{A}.scope", pod(runtime="gvisor", guest="gvisor")),
    # containerd's other clients, and cgroups of one's own choosing
    "ctr": (f"/default/{A}", CgroupIds(runtime="containerd", container_id=A, driver="cgroupfs")),
    "ctr in Kubernetes' namespace": (
        f"/k8s.io/{A}",
        CgroupIds(runtime="containerd", container_id=A, driver="cgroupfs"),
    ),
    "nerdctl": (
        f"/system.slice/nerdctl-{A}.scope",
        CgroupIds(runtime="containerd", container_id=A, driver="systemd"),
    ),
    "system.slice:runc:helper, systemd": (
        "/system.slice/runc-helper.scope",
        CgroupIds(runtime="runc", name="helper", driver="systemd"),
    ),
    "system.slice:runc:helper, taken literally": (
        "/system.slice/containerd.service/system.slice:runc:helper",
        CgroupIds(runtime="runc", name="helper", driver="mismatch"),
    ),
    "system.slice:runc:helper, as OCI has it": (
        "system.slice:runc:helper",
        CgroupIds(runtime="runc", name="helper", driver="systemd"),
    ),
    "a helper inside a pod": (
        f"{BEST}/runc-helper.scope",
        pod(runtime="runc", container_id=None, name="helper"),
    ),
    "a prefix nobody knows": (
        f"/system.slice/my-runtime-{A}.scope",
        CgroupIds(container_id=A, driver="systemd"),
    ),
    "runc by hand": (
        f"/system.slice/runc-{A}.scope",
        CgroupIds(runtime="runc", container_id=A, driver="systemd"),
    ),
    # podman
    "podman": (
        f"/machine.slice/libpod-{A}.scope",
        CgroupIds(runtime="podman", container_id=A, driver="systemd"),
    ),
    "podman, child": (
        f"/machine.slice/libpod-{A}.scope/container",
        CgroupIds(runtime="podman", container_id=A, driver="systemd", child="container"),
    ),
    "podman without root": (
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope",
        CgroupIds(runtime="podman", container_id=A, driver="systemd"),
    ),
    "podman pod": (
        f"/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope",
        CgroupIds(runtime="podman", container_id=A, driver="systemd"),
    ),
    "podman cgroupfs": (
        f"/libpod_parent/libpod-{A}",
        CgroupIds(runtime="podman", container_id=A, driver="cgroupfs"),
    ),
    "podman's conmon": (
        f"/machine.slice/libpod-conmon-{A}.scope",
        CgroupIds(runtime="podman", monitor_of=A, driver="systemd"),
    ),
    "a name of its own below a container": (
        f"{BEST}/cri-containerd-{A}.scope/kata_x",
        pod(runtime="containerd", child="kata_x"),
    ),
    # Not a container
    "root": ("/", None),
    "empty": ("", None),
    "init": ("/init.scope", None),
    "root from a cgroup namespace": ("0::/../..", None),
    "init from a cgroup namespace": ("0::/../../init.scope", None),
    "a service": ("/system.slice/docker.service", None),
    "containerd itself": ("/system.slice/containerd.service", None),
    "kubelet itself": ("/system.slice/kubelet.service", None),
    "a session": ("/user.slice/user-1000.slice/session-3.scope", None),
    "a session of old": ("/user/1000.user/c2.session", None),
    "kubepods": ("/kubepods.slice", None),
    "a QoS class": ("/kubepods.slice/kubepods-burstable.slice", None),
    "a QoS class, cgroupfs": ("/kubepods/besteffort", None),
    "lxc": ("/lxc/web", None),
    "lxc payload": ("/lxc.payload.web/init.scope", None),
    "nspawn": ("/machine.slice/systemd-nspawn@web.service", None),
    "libvirt": ("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", None),
    "a mount unit of Docker's": (f"/system.slice/var-lib-docker-containers-{A}-mounts-shm.mount", None),
    "a mount unit of containerd's": (f"/system.slice/run-containerd-{A}.mount", None),
    "63 digits": (f"/docker/{A[1:]}", None),
    "65 digits": (f"/docker/0{A}", None),
    "not hex": (f"/docker/g{A[1:]}", None),
    "a podman pod's own slice": (f"/machine.slice/machine-libpod_pod_{B}.slice", None),
    "a podman pod's own cgroup": (f"/libpod_parent/libpod_pod_{B}", None),
    "pod without UID": ("/kubepods/besteffort/pod", None),
    "something that starts with pod": ("/system.slice/podman.socket", None),
}
