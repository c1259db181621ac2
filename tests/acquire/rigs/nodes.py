# SPDX-License-Identifier: Apache-2.0
"""Fixtures: the real AVML, a node in a chroot, a real sshd in it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from memir.acquire.transports.ssh.target import SshTarget
from memir.acquire.transports.ssh.transport import SshTransport
from tests.acquire.rigs.noderig import MIB, NodeRig, Segment, contents
from tests.acquire.rigs.sshd import SSHD, Sshd
from tests.longer import not_here

LOW = Segment(0x1000, contents(0x9E000, 7))
HIGH = Segment(0x10_0000, contents(40 * MIB, 8, zero_blocks=(1,)))
SMALL = Segment(0x10_0000, contents(2 * MIB, 9))

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mount and chroot need root")


@pytest.fixture(scope="session")
def avml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real program, executable: MEMIR_AVML, else from the tests' own tool store, built when missing."""
    named = os.environ.get("MEMIR_AVML")
    if named:
        return Path(named)
    program = tmp_path_factory.mktemp("tool") / "avml"
    program.write_bytes(built_avml().read_bytes())
    program.chmod(0o755)
    return program


def built_avml() -> Path:
    """AVML in the user's cache, in a folder named after the hash of what it is built from; built when missing."""
    from memir.acquire.tools.build import AVML_VERSION, FEATURES, build_avml
    from memir.acquire.tools.store import Store

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    built_from = hashlib.sha256(f"{AVML_VERSION} {FEATURES} {platform.machine()}".encode()).hexdigest()[:16]
    store = Store(cache / "memir-tests" / "tools" / built_from)
    store.folder.mkdir(parents=True, exist_ok=True)
    # test processes that start at the same moment build it once
    with (store.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for one, wrong in store.verify():
            if one.tool == "avml" and one.machine == platform.machine() and not wrong:
                break
        else:
            one = build_avml(store, platform.machine())
    return store.folder / one.file


MakeNode = Callable[..., NodeRig]


@contextmanager
def nodes() -> Iterator[MakeNode]:
    """Make nodes; taken down at its end. A short path: sshd and sockets have their limits."""
    if os.geteuid() != 0:
        pytest.skip("mount and chroot need root")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memir-node-")))
        made: list[NodeRig] = []

        def make(*segments: Segment, shm_options: str = "mode=1777") -> NodeRig:
            rig = NodeRig(folder / f"n{len(made)}", list(segments) or [LOW, HIGH], shm_options)
            made.append(stack.enter_context(rig))
            return rig

        yield make


@pytest.fixture
def make_node() -> Iterator[MakeNode]:
    """nodes(), for a test."""
    with nodes() as make:
        yield make


@pytest.fixture
def node(make_node: MakeNode) -> NodeRig:
    """A node with 40 MiB of RAM, 16 of it zero."""
    return make_node()


@pytest.fixture
def small_node(make_node: MakeNode) -> NodeRig:
    """A node with 2.6 MiB of RAM, for many runs."""
    return make_node(LOW, SMALL)


def serve(stack: ExitStack, rig: NodeRig) -> Sshd:
    """A real sshd in a node."""
    if not Path(SSHD).exists():
        not_here("no OpenSSH server (apt-get install openssh-server)")
    return stack.enter_context(Sshd(rig.root / "ssh", chroot=rig.root))


@pytest.fixture
def sshd(node: NodeRig) -> Iterator[Sshd]:
    """sshd in `node`."""
    with ExitStack() as stack:
        yield serve(stack, node)


@pytest.fixture
def small_sshd(small_node: NodeRig) -> Iterator[Sshd]:
    """sshd in `small_node`."""
    with ExitStack() as stack:
        yield serve(stack, small_node)


def target(server: Sshd, **changes: object) -> SshTarget:
    """How to reach a server with its own key and known_hosts, or with what is changed."""
    chosen: dict[str, object] = {
        "host": "127.0.0.1", "port": server.port, "user": "root", "identity": server.client_key,
        "known_hosts": server.known_hosts, "agent": False, "timeout": 120.0,
    }  # fmt: skip
    return SshTarget(**(chosen | changes))  # type: ignore[arg-type]  # the fields are the target's


def reach(server: Sshd, **changes: object) -> SshTransport:
    return SshTransport(target(server, **changes))
