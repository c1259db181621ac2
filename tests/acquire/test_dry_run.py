# SPDX-License-Identifier: Apache-2.0
"""A dry run: every check, what could not be asked, and the steps and traces in any case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from memir.acquire.dry_run import OF_THE_NODE, dry_run, key_checks
from memir.acquire.launch import prepare
from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.settings import Shared
from memir.acquire.sinks.file import FileSink
from memir.acquire.steps import ANY_TOOL
from memir.acquire.tools.store import RELEASES, Store
from memir.acquire.transports.local import LocalTransport
from memir.acquire.transports.pod.options import PodAcquireOptions
from memir.acquire.transports.ssh.options import SshOptions
from memir.acquire.transports.ssm.options import SsmOptions
from memir.errors import MemirError
from tests.acquire.rigs.nodes import LOW, SMALL, MakeNode
from tests.evidence.test_custody import pem


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No kubeconfig, no region, no credentials, and nobody at 127.0.0.1 port 9."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "KUBECONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def run_of(root: Path, folder: Path, **options: Any) -> Acquisition:
    return Acquisition(LocalTransport(root), FileSink(folder), folder, Options(**options), Store(folder / "store"))


def failed(run: Acquisition) -> list[str]:
    return [check.name for check in dry_run(run).failed]


def test_a_node_that_answers(make_node: MakeNode, avml: Path, tmp_path: Path) -> None:
    node = make_node(LOW, SMALL)
    seen = dry_run(run_of(node.root, tmp_path / "ev", tool_path=avml))
    assert (seen.failed, seen.not_asked) == ([], [])
    assert {"evidence folder", "kernel", "root", "lock", "/proc/kcore"} <= {check.name for check in seen.checks}
    assert any(step.what.startswith("put avml (") for step in seen.plan.steps)
    assert node.left() == [] and not (tmp_path / "ev").exists()


def test_without_a_tool_the_rest_is_shown(
    make_node: MakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    seen = dry_run(run_of(make_node(LOW, SMALL).root, tmp_path / "ev"))
    (tool,) = seen.failed
    assert tool.name == "tool" and RELEASES in tool.detail and str(tmp_path / "ev" / "store") in tool.detail
    assert any(check.name == "/proc/iomem" and check.level == "ok" for check in seen.checks)
    assert any(ANY_TOOL in step.what for step in seen.plan.steps)
    assert seen.not_asked == ["the tool: which file goes to the node, its size and hash"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"sign_key": Path("/nowhere/nope.pem")}, ["signing key"]),
        ({"timestamp_url": "ftp://x"}, ["time stamp authority"]),
        ({"tool_path": Path("/nowhere/avml")}, ["tool"]),
    ],
)  # fmt: skip
def test_what_a_run_refuses_at_its_begin(
    make_node: MakeNode, avml: Path, tmp_path: Path, options: dict[str, Any], names: list[str]
) -> None:
    """Each is a failed check of the dry run, and refuses the run itself."""
    run = run_of(make_node(LOW, SMALL).root, tmp_path / "ev", **({"tool_path": avml} | options))
    assert failed(run) == names
    with pytest.raises(MemirError):
        run.execute()
    assert not (tmp_path / "ev").exists()


def test_a_key_that_can_sign_is_said(make_node: MakeNode, avml: Path, tmp_path: Path) -> None:
    sign_key, _ = pem(tmp_path, Ed25519PrivateKey.generate())
    seen = dry_run(run_of(make_node(LOW, SMALL).root, tmp_path / "ev", tool_path=avml, sign_key=sign_key))
    assert [check.detail for check in seen.checks if check.name == "signing key"] == [str(sign_key)]
    assert [check.level for check in key_checks(sign_key)] == ["ok"] and key_checks(None) == []
    (wrong,) = key_checks(tmp_path / "nope.pem")
    assert wrong.level == "fail" and wrong.advice.startswith("openssl genpkey")


def test_a_folder_where_nothing_can_be_kept(make_node: MakeNode, avml: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    root = make_node(LOW, SMALL).root
    for folder in ("/proc/x", "/sys/x", "/dev/full", "/dev/full/x", str(tmp_path / "full")):
        run = Acquisition(LocalTransport(root), FileSink(Path(folder)), Path(folder), Options(tool_path=avml))
        assert failed(run) == ["evidence folder"], folder


def test_a_root_that_is_no_node(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "none", tmp_path / "empty"):
        seen = dry_run(run_of(root, tmp_path / "ev"))
        assert [check.name for check in seen.failed] == ["connection"]
        assert f"--root {root}: no root file system of a node is there" in seen.failed[0].detail


WAYS: Sequence[tuple[Any, dict[str, Any], list[str], str]] = (
    (SshOptions(["root@127.0.0.1:9"]), {}, ["connection"], "connect to root@127.0.0.1 by SSH"),
    (PodAcquireOptions(["n1"]), {}, ["connection"], "create a Secret with the helper, owned by the pod"),
    (PodAcquireOptions(selector="role=web"), {}, ["connection"], "create a privileged pod on NODE"),
    (SsmOptions(["i-0ab"]), {"to": "s3://ev1/p"}, ["bucket", "connection"], "ask SSM about i-0ab"),
    (SsmOptions(["i-0ab"]), {"to": "s3://ev1/p", "region": "eu-west-1"}, ["bucket", "connection"], "ask SSM about i-0"),
    (SsmOptions(tag="a=b"), {"to": "s3://ev1/p", "region": "eu-west-1"}, ["bucket", "connection"], "ask SSM about N"),
)


@pytest.mark.parametrize("number", range(len(WAYS)))
def test_every_way_without_a_connection(offline: None, tmp_path: Path, number: int) -> None:
    """Steps and traces of the way, of the store and of the node; the reason; what nobody could be asked."""
    own, more, names, step = WAYS[number]
    shared = Shared(output=tmp_path / "ev", dry_run=True, **more)
    (name,), make = prepare(own, shared)
    run = make(name, lambda _: None)
    seen = dry_run(run)
    run.transport.close()
    assert [check.name for check in seen.failed] == names
    assert seen.not_asked[0] == f"the node: {OF_THE_NODE}" and len(seen.not_asked) == 2
    whats = [each.what for each in seen.plan.steps]
    assert any(what.startswith(step) for what in whats)
    assert any("release the lock" in what for what in whats)
    places = [trace.where for trace in seen.plan.traces]
    assert len(places) > 5 and "memory file system" in places
    assert not (tmp_path / "ev").exists()
    with pytest.raises(MemirError):  # a run is not begun
        prepare(own, Shared(output=tmp_path / "ev", **more))[1](name, lambda _: None).execute()
    assert not (tmp_path / "ev").exists()
