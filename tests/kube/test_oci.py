# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.gaps import Gaps
from memir.kube.oci import OciSpec, parse_pages, parse_spec, with_sandbox
from tests.fuzz import cases

CASES = cases(300)
TRUTH = json.loads(gzip.decompress((Path(__file__).parent / "data/node-6.1.truth.json.gz").read_bytes()))
SPECS: dict[str, dict[str, Any]] = TRUTH["specs"]
BUNDLE = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"

ID = "89bb3709bcc0bee0fb772849879c587d3136cecad561bb1f9738bf29c9c19358"
SANDBOX = "3b235cc84cf78a5849e13e32e67d145310261361bcdb54adf64757c709016b24"
UID = "a36289d2-54eb-4567-b8d7-4ab93a61ba30"


def encode(spec: dict[str, Any]) -> bytes:
    return json.dumps(spec, ensure_ascii=False, separators=(",", ":")).encode()


def read(spec: dict[str, Any], where: str = "ram", tail: bytes = b"") -> OciSpec:
    found = parse_spec(encode(spec) + tail, where)
    assert found is not None
    return found


def real(prefix: str) -> tuple[str, dict[str, Any]]:
    ident = next(ident for ident in SPECS if ident.startswith(prefix))
    return ident, copy.deepcopy(SPECS[ident])


@pytest.fixture(scope="module")
def node() -> dict[str, OciSpec]:
    return {ident: read(spec, f"{BUNDLE}/{ident}/config.json", b"\0" * 500) for ident, spec in SPECS.items()}


def test_every_spec_of_a_real_node(node: dict[str, OciSpec]) -> None:
    for ident, spec in node.items():
        raw = SPECS[ident]
        notes = raw.get("annotations") or {}
        assert spec.complete
        assert not spec.doubts
        assert spec.container_id == ident
        assert spec.engine == "containerd"
        assert spec.kind == notes.get("io.kubernetes.cri.container-type")
        assert spec.container_name == notes.get("io.kubernetes.cri.container-name")
        assert spec.image == notes.get("io.kubernetes.cri.image-name")
        assert spec.pod_name == notes.get("io.kubernetes.cri.sandbox-name")
        assert spec.namespace == notes.get("io.kubernetes.cri.sandbox-namespace")
        assert spec.pod_uid == notes.get("io.kubernetes.cri.sandbox-uid")
        assert spec.args == tuple(raw["process"]["args"])
        assert spec.env == tuple(raw["process"]["env"])
        assert spec.user == 0
        assert spec.rootfs == f"{BUNDLE}/{ident}/rootfs"
        assert spec.mounts is not None
        assert [mount.destination for mount in spec.mounts] == [mount["destination"] for mount in raw["mounts"]]
        assert spec.annotations == notes


def test_what_the_pods_asked_for(node: dict[str, OciSpec]) -> None:
    """toolbox is privileged with hostPID, node-agent privileged with hostPID and hostNetwork."""
    whole = {
        ident: with_sandbox(spec, node[spec.sandbox_id]) if spec.sandbox_id else spec for ident, spec in node.items()
    }
    for spec in whole.values():
        host = (spec.host_pid, spec.host_network, spec.host_ipc)
        wanted = {"toolbox": (True, False, False), "node-agent-2zlxg": (True, True, False)}
        assert host == wanted.get(spec.pod_name or "", (False, False, False))
        assert spec.privileged == (spec.container_name in ("toolbox", "agent"))
    helper = next(spec for spec in whole.values() if spec.pod_uid is None)
    assert helper.cgroups_path == "system.slice:runc:helper"
    assert helper.cgroup is not None
    assert helper.cgroup.name == "helper"


def test_a_container_leaves_its_namespaces_to_its_sandbox(node: dict[str, OciSpec]) -> None:
    spec = node[ID]
    assert (spec.host_pid, spec.host_network, spec.host_ipc) == (False, None, None)
    agent = next(one for one in node.values() if one.container_name == "agent")
    assert (agent.host_pid, agent.host_network) == (None, None)


def crio(kind: str) -> dict[str, Any]:
    """As CRI-O 1.26 writes it: kubelet's labels among the annotations, namespaces pinned by path."""
    notes = {
        "io.container.manager": "cri-o",
        "io.kubernetes.container.name": "POD" if kind == "sandbox" else "api",
        "io.kubernetes.cri-o.ContainerID": SANDBOX if kind == "sandbox" else ID,
        "io.kubernetes.cri-o.ContainerType": kind,
        "io.kubernetes.cri-o.ImageName": "quay.io/shop/api:1",
        "io.kubernetes.cri-o.Metadata": '{"name":"api","attempt":1}',
        "io.kubernetes.cri-o.SandboxID": SANDBOX,
        "io.kubernetes.pod.name": "api-1",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": UID,
    }
    own = SANDBOX if kind == "sandbox" else ID
    shm = f"/run/containers/storage/overlay-containers/{SANDBOX}/userdata/shm"
    return {
        "ociVersion": "1.0.2-dev",
        "process": {"args": ["x"], "env": [], "user": {"uid": 1000}},
        "root": {"path": "/var/lib/containers/storage/overlay/452374ade3f4/merged"},
        "mounts": [{"destination": "/dev/shm", "type": "bind", "source": shm}],
        "annotations": notes,
        "linux": {
            "cgroupsPath": f"kubepods-besteffort-pod{UID.replace('-', '_')}.slice:crio:{own}",
            "namespaces": [
                {"type": "pid"},
                {"type": "network", "path": "/var/run/netns/7a1f"},
                {"type": "ipc", "path": "/var/run/ipcns/7a1f"},
                {"type": "mount"},
            ],
        },
    }


def test_crio() -> None:
    where = f"/run/containers/storage/overlay-containers/{ID}/userdata/config.json"
    spec = read(crio("container"), where)
    assert spec.engine == "cri-o"
    assert (spec.container_id, spec.sandbox_id, spec.kind) == (ID, SANDBOX, "container")
    assert (spec.container_name, spec.pod_name, spec.namespace, spec.pod_uid) == ("api", "api-1", "shop", UID)
    assert spec.image == "quay.io/shop/api:1"
    assert spec.user == 1000
    assert spec.rootfs == "/var/lib/containers/storage/overlay/452374ade3f4/merged"
    assert (spec.host_pid, spec.host_network, spec.host_ipc) == (False, False, False)
    assert not spec.doubts
    sandbox = read(crio("sandbox"))
    assert (sandbox.container_id, sandbox.kind, sandbox.container_name) == (SANDBOX, "sandbox", None)
    unlabelled = crio("container")
    del unlabelled["annotations"]["io.kubernetes.container.name"]
    assert read(unlabelled).container_name == "api"
    on_host = crio("container")
    del on_host["linux"]["namespaces"][1]
    assert read(on_host).host_network is True


def test_docker() -> None:
    where = f"/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/{ID}/config.json"
    spec = read(
        {
            "ociVersion": "1.2.0",
            "process": {"args": ["redis"], "env": ["A=b"], "user": {"uid": 0, "gid": 0}},
            "root": {"path": "/var/lib/docker/overlay2/abc/merged"},
            "hostname": ID[:12],
            "mounts": [],
            "linux": {
                "cgroupsPath": f"system.slice:docker:{ID}",
                "namespaces": [
                    {"type": "mount"},
                    {"type": "network", "path": "/var/run/docker/netns/default"},
                    {"type": "ipc"},
                    {"type": "pid"},
                ],
                "seccomp": {"defaultAction": "SCMP_ACT_ERRNO"},
            },
        },
        where,
    )
    assert (spec.engine, spec.container_id, spec.kind, spec.pod_uid) == ("docker", ID, None, None)
    assert (spec.host_network, spec.host_pid, spec.seccomp) == (True, False, True)
    assert spec.mounts == ()
    spec = read({"ociVersion": "1.2.0", "linux": {"cgroupsPath": f"/docker/{ID}"}})
    assert (spec.engine, spec.container_id) == ("docker", ID)


def test_older_containerd_has_no_uid_annotation() -> None:
    """Before containerd 1.6.11: the cgroup or the log directory has it."""
    ident, spec = real("89bb3709")
    del spec["annotations"]["io.kubernetes.cri.sandbox-uid"]
    assert read(spec).pod_uid == UID
    ident, spec = real("3b235cc8")
    del spec["annotations"]["io.kubernetes.cri.sandbox-uid"]
    spec["linux"]["cgroupsPath"] = f"/x/{ident}"
    for name in ("sandbox-name", "sandbox-namespace"):
        del spec["annotations"][f"io.kubernetes.cri.{name}"]
    found = read(spec)
    assert (found.pod_uid, found.pod_name, found.namespace) == (UID, "api-8489696577-l7df2", "shop")


def test_privileged_is_not_the_same_as_every_capability() -> None:
    _, spec = real("43cc8ad0")
    assert read(spec).privileged is True
    spec["linux"]["maskedPaths"] = ["/proc/kcore"]
    assert read(spec).privileged is False
    _, spec = real("43cc8ad0")
    spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ERRNO"}
    assert read(spec).privileged is False
    _, spec = real("43cc8ad0")
    spec["process"]["capabilities"]["bounding"].remove("CAP_SYS_MODULE")
    assert read(spec).privileged is False
    spec["process"]["capabilities"] = {}
    assert (read(spec).capabilities, read(spec).privileged) == (0, False)  # all dropped: Go leaves empty lists out
    del spec["process"]["capabilities"]
    assert read(spec).privileged is None


def test_a_spec_put_together_of_two_is_seen() -> None:
    _, mixed = real("89bb3709")
    _, other = real("c318a4af")
    mixed["annotations"] = other["annotations"]
    doubts = " ".join(read(mixed).doubts)
    assert "pod UIDs differ" in doubts
    assert "sandbox ids differ" in doubts
    _, spec = real("89bb3709")
    assert "container ids differ" in read(spec, f"{BUNDLE}/{SANDBOX}/config.json").doubts[0]


@pytest.mark.parametrize("bad", ["\x1b[31mred", "%s", "a b", "x" * 300, "<script>", "../../etc", "a\nb", "é"])
def test_names_that_cannot_be_are_left_out(bad: str) -> None:
    _, spec = real("89bb3709")
    for name in ("container-name", "sandbox-name", "sandbox-namespace"):
        spec["annotations"][f"io.kubernetes.cri.{name}"] = bad
    found = read(spec)
    assert (found.container_name, found.pod_name, found.namespace) == (None, None, None)
    assert "is not a name" in found.doubts[0]
    assert found.doubts[0].isascii()


JUNK: list[Any] = [None, [], {}, "", "x", 0, -1, 1 << 80, True, 1.5, [[]], [{}], {"a": {}}, ["x", 1], "\0"]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_wrong_types_anywhere(junk: Any) -> None:
    _, spec = real("89bb3709")

    def places(value: Any) -> list[tuple[Any, Any]]:
        keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
        return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]

    for parent, key in places(spec):
        kept = parent[key]
        parent[key] = junk
        found = parse_spec(encode(spec), "ram")
        assert found is None or isinstance(found.doubts, tuple)
        parent[key] = kept


def test_not_a_spec_is_a_gap() -> None:
    for data, why in ((b"", "not JSON"), (b"\0" * 4096, "not JSON"), (b'{"a":1}', "not an OCI spec")):
        gaps = Gaps()
        assert parse_spec(data, "/x", gaps) is None
        assert [(gap.kind, gap.where, gap.why) for gap in gaps] == [("OCI spec", "/x", why)]
    gaps = Gaps()
    assert parse_spec(b'{"ociVersion":1}', "/x", gaps) is None
    assert parse_pages([None, None], "/x", gaps) is None
    assert parse_pages([], "/x", gaps) is None
    assert gaps.total == 3


def pages_of(data: bytes) -> list[bytes | None]:
    return [data[at : at + 4096].ljust(4096, b"\0") for at in range(0, len(data), 4096)]


def test_pages_that_are_missing() -> None:
    ident, raw = real("43cc8ad0")
    where = f"{BUNDLE}/{ident}/config.json"
    data = encode(raw)
    whole = read(raw, where)
    pages = pages_of(data)
    assert len(pages) == 5
    assert parse_pages(pages, where) == whole
    for missing in range(len(pages)):
        holed = [None if at == missing else page for at, page in enumerate(pages)]
        found = parse_pages(holed, where)
        assert found is not None
        assert not found.complete
        assert "pages missing" in found.doubts
        assert found.privileged is None
        for name in (
            "pod_name",
            "namespace",
            "pod_uid",
            "args",
            "cgroups_path",
            "namespaces",
            "hostname",
            "kind",
        ):
            assert getattr(found, name) in (None, getattr(whole, name)), name
        assert found.container_id == ident
    last = parse_pages([None, *pages[1:]], where)
    assert last is not None
    assert last.pod_name == "toolbox"
    assert last.cgroups_path == whole.cgroups_path


def test_cut_documents_say_only_what_was_there() -> None:
    for prefix in ("89bb3709", "3b235cc8"):
        _, raw = real(prefix)
        whole, data = read(raw), encode(raw)
        for cut in range(16, len(data), 37):
            found = parse_spec(data[:cut], "ram")
            if found is None:
                continue
            assert not found.complete
            for name in (
                "kind",
                "pod_name",
                "pod_uid",
                "args",
                "cwd",
                "user",
                "capabilities",
                "sandbox_id",
                "image",
            ):
                assert getattr(found, name) in (None, getattr(whole, name)), (name, cut)
            assert found.privileged is None
            assert found.seccomp in (None, whole.seccomp)
            assert set(found.annotations.items()) <= set(whole.annotations.items())
            assert (found.env or ()) == (whole.env or ())[: len(found.env or ())]
            assert (found.mounts or ()) == (whole.mounts or ())[: len(found.mounts or ())]


@settings(max_examples=CASES, deadline=None)
@given(st.sampled_from(sorted(SPECS)), st.integers(0, 1 << 32), st.integers(1, 30))
def test_mutated_documents_are_read(ident: str, seed: int, changes: int) -> None:
    chance = random.Random(seed)
    data = bytearray(encode(SPECS[ident]))
    for _ in range(changes):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(1, 200)]
            case 2:
                data[at:at] = chance.choice([b"{", b"}", b"[", b"]", b'"', b",", b"\\u0000", b"\0", b"\xff", b"1e999"])
            case _:
                other = chance.randrange(len(data))
                data[at : at + 100] = data[other : other + 100]
        if not data:
            break
    for pages in (pages_of(bytes(data)), [None, *pages_of(bytes(data))]):
        found = parse_pages(pages, "ram")
        assert found is None or found.container_id is None or found.container_id.isascii()
