# SPDX-License-Identifier: Apache-2.0
"""What runtimes left in the memory of real nodes: a spec for each container, states, containerd's own list."""

from __future__ import annotations

from collections.abc import Callable

from memir.kube.containerd import Registered, Registry
from memir.kube.oci import OciSpec
from memir.kube.ram import RamSource
from memir.kube.runtime import RuntimeFiles, runtime_files
from tests.images import case


def test_files_of_every_image(image: str, node_of: Callable[[str], RamSource]) -> None:
    node = node_of(image)
    files = runtime_files(node.kernel, node.mounts, node.namespace_mounts.of(node.host_mnt_ns), node.processes.living)
    assert files == node.files
    truth = case(image).raw_truth()
    if "pod" in truth:  # a small image: specs on tmpfs; in some a database that knows ended containers too
        running = {pod["id"] for pod in truth["pod"]}
        on_tmpfs = {at for at, spec in files.specs.items() if spec.where.endswith(f"/{at}/config.json")}
        assert running <= on_tmpfs
        if files.registry is None:
            assert files.specs.keys() == running
        else:
            assert files.registry.whole
            assert files.registry.containers.keys() == files.specs.keys()
            assert len(files.specs) > len(running)
        return
    wanted = {row["ID"] for row in truth["containers"] if row}
    assert files.registry is not None
    assert files.registry.whole
    assert files.registry.containers.keys() == wanted
    assert files.specs.keys() == wanted
    assert not [at for at in wanted if files.off_the_tree(at)]
    assert {state.container_id for state in files.states.values()} <= wanted
    labels = {row["ID"]: row["Labels"] or {} for row in truth["containers"] if row}
    for at, row in files.registry.containers.items():
        assert row.container_name == labels[at].get("io.kubernetes.container.name")
        assert row.pod_uid == labels[at].get("io.kubernetes.pod.uid")


def test_off_the_tree() -> None:
    spec = OciSpec("meta.db:/m+0x1000", True, container_id="x")
    on_tmpfs = OciSpec("/run/x/config.json", True, container_id="y")
    files = RuntimeFiles({"x": spec, "y": on_tmpfs})
    assert [files.off_the_tree(at) for at in ("x", "y", "z")] == [True, False, False]
    files.registry = Registry({"x": Registered("x", "k8s.io")}, whole=True)
    assert not files.off_the_tree("x")
