# SPDX-License-Identifier: Apache-2.0
"""One segment of a cgroup path by itself."""

from __future__ import annotations

import pytest

from memir.kube.cgroup_segments import ContainerSegment, container_segment, from_colons, pod_segment

ID = "0123456789abcdef" * 4
UID = "dd1bf9d1-241d-47f5-8e25-12de83135812"
ESCAPED = UID.replace("-", "_")


@pytest.mark.parametrize(
    ("segment", "before", "wanted"),
    [
        (f"kubepods-besteffort-pod{ESCAPED}.slice", "", (UID, "BestEffort")),
        (f"kubelet-kubepods-burstable-pod{ESCAPED}.slice", "", (UID, "Burstable")),
        (f"kubepods-pod{ESCAPED}.slice", "", (UID, "Guaranteed")),
        (f"user-pod{ESCAPED}.slice", "", (None, None)),
        (f"pod{UID}", "besteffort", (UID, "BestEffort")),
        (f"pod{UID}", "kubepods", (UID, "Guaranteed")),
        (f"pod{UID}", "", (UID, None)),
        ("pod" + "A" * 32, "burstable", ("a" * 32, "Burstable")),
        ("podman", "", (None, None)),
        ("podcast", "kubepods", ("cast", "Guaranteed")),
    ],
)
def test_pods(segment: str, before: str, wanted: tuple[str | None, str | None]) -> None:
    assert pod_segment(segment, before) == wanted


@pytest.mark.parametrize(
    ("segment", "before", "parent", "wanted"),
    [
        (f"cri-containerd-{ID}.scope", "", None, ContainerSegment(ID, runtime="containerd", driver="systemd")),
        (f"crio-{ID}", "", None, ContainerSegment(ID, runtime="cri-o", driver="cgroupfs")),
        (f"crio-conmon-{ID}.scope", "", None, ContainerSegment(monitor_of=ID, runtime="cri-o", driver="systemd")),
        (ID.upper(), "moby", None, ContainerSegment(ID, runtime="docker", driver="cgroupfs")),
        (ID, "x", "ecs", ContainerSegment(ID, runtime="docker", driver="cgroupfs")),
        (f"kata_{ID}", "", None, ContainerSegment(ID, runtime="kata", driver="cgroupfs", sandbox=True, guest="kata")),
        (f"runsc-{ID}.scope", "", None, ContainerSegment(ID, runtime="gvisor", driver="systemd", guest="gvisor")),
        (f"made-up-{ID}.scope", "", None, ContainerSegment(ID, driver="systemd")),
        (f"made-up-{ID}", "", None, None),
        (f"kubepods_pod-{ID}", "", None, None),
        ("runc-helper.scope", "", None, ContainerSegment(name="helper", runtime="runc", driver="systemd")),
        (
            "a" * 32 + "-1234567890",
            "",
            "ecs",
            ContainerSegment("a" * 32 + "-1234567890", runtime="containerd", driver="cgroupfs"),
        ),
        ("ssh.service", "", None, None),
    ],
)
def test_containers(segment: str, before: str, parent: str | None, wanted: ContainerSegment | None) -> None:
    assert container_segment(segment, before, parent) == wanted


def test_a_systemd_path_taken_for_a_name() -> None:
    assert from_colons(f"cri-containerd:{ID}") == ContainerSegment(ID, runtime="containerd", driver="mismatch")
    assert from_colons("runc:helper") == ContainerSegment(name="helper", runtime="runc", driver="mismatch")
    assert from_colons("made-up:helper") is None
    assert from_colons("a:b:c") is None
    assert from_colons("nothing") is None
