# SPDX-License-Identifier: Apache-2.0
"""Against a real OpenSSH server: who is let in, who is refused, and what a lost connection looks like."""

from __future__ import annotations

import json
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.file import FileSink
from memir.acquire.transports.ssh.target import SshTarget
from memir.acquire.transports.ssh.transport import SshTransport
from memir.errors import AccessError, ConnectError, NodeError, PartialError, UsageError
from memir.evidence.progress import Progress
from memir.evidence.verify import verify
from tests.acquire.rigs.cutter import Cutter
from tests.acquire.rigs.noderig import MIB, NodeRig
from tests.acquire.rigs.nodes import MakeNode, reach, serve, target
from tests.acquire.rigs.runs import clean_but_sshd, stream_of
from tests.acquire.rigs.sshd import Sshd, free_port, keygen
from tests.acquire.rigs.wait import until


def test_scripts_run_and_bytes_move(sshd: Sshd) -> None:
    transport = reach(sshd)
    transport.connect()
    result = transport.run("cat; echo over >&2; exit 7", data=b"secret\0\xff" * 40_000)
    assert (result.code, result.err, result.truncated) == (7, b"over\n", False)
    assert result.out == b"secret\0\xff" * 40_000
    assert transport.run("head -c 3000000 /dev/zero", limit=1000).out == bytes(1000)
    assert transport.run("head -c 3000000 /dev/zero", limit=1000).truncated
    transport.put("/dev/shm/x", b"\0\1" * 100_000, mode=0o640)
    assert transport.run("sha256sum /dev/shm/x; stat -c %a /dev/shm/x; rm /dev/shm/x").text.split()[-1] == "640"
    stream = transport.open_stream("head -c 5000000 /dev/zero; echo end >&2; exit 3")
    total = 0
    while chunk := stream.read(1 << 16):
        total += len(chunk)
    assert (total, stream.wait(300).code, stream.wait(300).err) == (5_000_000, 3, b"end\n")
    known = transport.identity()
    assert known["host_key"].startswith("ssh-ed25519 SHA256:")
    assert known["user"] == "root"
    transport.close()
    with pytest.raises(ConnectError, match="is gone"):
        transport.run("true")


def test_scripts_stay_off_the_command_line(sshd: Sshd, node: NodeRig) -> None:
    transport = reach(sshd)
    transport.connect()
    script = "echo secret-word >/dev/null; : > /dev/shm/here; while [ -e /dev/shm/here ]; do sleep 0.1; done"
    thread = threading.Thread(target=lambda: transport.run(script, timeout=600))
    thread.start()
    here = node.root / "dev/shm/here"
    until(here.exists)
    seen = node.processes()
    here.unlink()
    thread.join()
    transport.close()
    assert any("head -c" in line for line in seen)
    assert not any("secret-word" in line for line in seen)
    assert "secret-word" not in sshd.log()


def test_an_unknown_host_key_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "known").write_text("")
    with pytest.raises(ConnectError, match=r"host key of \[127\.0\.0\.1\]:\d+ is unknown: refused"):
        reach(sshd, known_hosts=tmp_path / "known").connect()
    assert (tmp_path / "known").read_text() == ""


def test_a_changed_host_key_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other")
    known = sshd.trust(tmp_path / "known", key=other)
    with pytest.raises(ConnectError, match=r"has CHANGED .*refused"):
        reach(sshd, known_hosts=known).connect()


def test_a_wrong_key_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=r"root@127\.0\.0\.1 port \d+ refuses every key"):
        reach(sshd, identity=keygen(tmp_path / "wrong")).connect()


def test_nobody_listens() -> None:
    port = free_port()
    with pytest.raises(ConnectError, match=rf"cannot reach 127.0.0.1 port {port}"):
        SshTransport(SshTarget("127.0.0.1", port=port, user="root", timeout=2)).connect()


def test_something_else_listens(sshd: Sshd) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            link, _ = server.accept()
            link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            link.close()

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(ConnectError, match=r"SSH with 127.0.0.1 port"):
            reach(sshd, port=server.getsockname()[1]).connect()


def test_configuration_and_known_hosts_alias(sshd: Sshd, tmp_path: Path) -> None:
    kind, body, *_ = sshd.host_key.with_suffix(".pub").read_text().split()
    (tmp_path / "known").write_text(f"node-7.internal {kind} {body}\n")
    (tmp_path / "config").write_text(
        f"Host node-7\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User root\n  HostKeyAlias node-7.internal\n"
        f"  IdentityFile {sshd.client_key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {tmp_path}/known\n"
    )
    transport = SshTransport(SshTarget("node-7", config=tmp_path / "config", agent=False))
    transport.connect()
    assert transport.identity()["address"] == f"127.0.0.1:{sshd.port}"
    transport.close()


def test_a_broken_configuration_is_said(tmp_path: Path) -> None:
    (tmp_path / "config").write_text('Host "x\n')
    with pytest.raises(UsageError, match="cannot read the SSH configuration"):
        SshTransport(SshTarget("x", config=tmp_path / "config")).connect()


def test_jump_hosts(make_node: MakeNode, tmp_path: Path) -> None:
    with ExitStack() as stack:
        gate, far = serve(stack, make_node()), serve(stack, make_node())
        known = tmp_path / "known"
        known.write_text(gate.known_hosts.read_text() + far.known_hosts.read_text())
        with (gate.folder / "authorized_keys").open("a") as keys:
            keys.write(far.client_key.with_suffix(".pub").read_text())
        transport = reach(far, jump=f"root@127.0.0.1:{gate.port}", known_hosts=known)
        transport.connect()
        assert transport.run("echo there").out == b"there\n"
        assert len(transport.connections.groups[0]) == 2
        transport.close()
        with pytest.raises(ConnectError, match=r"\]:\d+ is unknown: refused"):
            reach(far, jump=f"root@127.0.0.1:{gate.port}").connect()


def test_the_agent_s_keys_are_used(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket_path = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket_path)], stdout=subprocess.DEVNULL)
    try:
        until(socket_path.exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket_path))
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(AccessError):
            reach(sshd, identity=None, agent=True).connect()
        subprocess.run(["ssh-add", "-q", str(sshd.client_key)], check=True, capture_output=True)
        transport = reach(sshd, identity=None, agent=True)
        transport.connect()
        transport.close()
    finally:
        agent.terminate()
        agent.wait()


def test_a_user_without_sudo_is_refused(make_node: MakeNode) -> None:
    node = make_node()
    with ExitStack() as stack:
        server = stack.enter_context(Sshd(node.root / "ssh", chroot=node.root, extra=("AllowUsers nobody root",)))
        (server.folder / "authorized_keys").chmod(0o644)
        server.folder.chmod(0o755)
        line = Path("/etc/passwd").read_text().split("nobody:")[1].splitlines()[0]
        if line.endswith("nologin"):
            with pytest.raises(AccessError, match=r"nobody@127\.0\.0\.1 is not root and `sudo -n` does not work"):
                reach(server, user="nobody").connect()


def acquisition(server: Sshd, folder: Path, tool: Path, **changes: object) -> Acquisition:
    options = Options(tool_path=tool, format="lime", context=bool(changes.pop("context", False)), grace=10,
                      limit_rate=int(str(changes.pop("limit_rate", 0))))  # fmt: skip
    return Acquisition(SshTransport(target(server, **changes)), FileSink(folder), folder, options)


def test_from_a_real_server_to_verified_evidence(sshd: Sshd, node: NodeRig, tmp_path: Path, avml: Path) -> None:
    receipt = acquisition(sshd, tmp_path / "ev", avml, context=True).execute()
    assert receipt["status"] == "complete"
    found = verify(tmp_path / "ev")
    assert found.complete, found.problems
    assert clean_but_sshd(node)
    traces = json.dumps(receipt["traces"])
    assert "the SSH login (user, address, key fingerprint)" in traces


def test_the_node_reboots_midway(sshd: Sshd, node: NodeRig, tmp_path: Path, avml: Path) -> None:
    run = acquisition(sshd, tmp_path / "ev", avml, limit_rate=8 * MIB)

    def reboot(progress: Progress) -> None:
        if progress.done > 2 * MIB and sshd.process is not None:
            sshd.crash()

    run.report = reboot
    with pytest.raises(PartialError, match=r"lost|broke") as caught:
        run.execute()
    receipt = json.loads((tmp_path / "ev/receipt.json").read_bytes())
    assert caught.value.exit_code == 4
    assert receipt["status"] == "partial"
    assert "its watchdog removes it in 10 s" in receipt["left_on_node"][0]
    kept = (tmp_path / "ev/image.lime.partial").read_bytes()
    assert kept == stream_of(node)[: len(kept)]
    assert len(kept) > 2 * MIB
    assert clean_but_sshd(node)
    assert verify(tmp_path / "ev").holds


def test_a_stall_is_found_out(sshd: Sshd, node: NodeRig, tmp_path: Path, avml: Path) -> None:
    with Cutter(sshd.port, budget=9 * MIB, dead=True, mode="stall") as cutter:
        known = sshd.trust(tmp_path / "known", port=cutter.port)
        run = acquisition(sshd, tmp_path / "ev", avml, port=cutter.port, known_hosts=known, stall=2.0, timeout=15.0)
        with pytest.raises(PartialError, match=r"no byte from .* for 2 s, though the connection stands"):
            run.execute()
    assert clean_but_sshd(node)


def test_a_script_that_does_not_end(sshd: Sshd) -> None:
    transport = reach(sshd)
    transport.connect()
    with pytest.raises(ConnectError, match=r"for 1 s|did not end within 1 s"):
        transport.run("sleep 5", timeout=1.0)
    assert transport.run("echo still").out == b"still\n"
    transport.close()


def test_the_lock_is_seen_over_ssh(sshd: Sshd, node: NodeRig, tmp_path: Path, avml: Path) -> None:
    shm = node.root / "dev/shm/.memir-lock"
    shm.mkdir()
    (shm / "run").write_text("20260101-000000-bbbb\n")
    (shm / "since").write_text("2026-01-01T00:00:00Z\n")
    sleeper = subprocess.Popen(["sleep", "60"])
    (shm / "pid").write_text(f"{sleeper.pid}\n")
    try:
        with pytest.raises(NodeError, match="a run is going on: 20260101-000000-bbbb since 2026-01-01T00:00:00Z"):
            acquisition(sshd, tmp_path / "ev", avml).execute()
    finally:
        sleeper.terminate()
        sleeper.wait()
