# SPDX-License-Identifier: Apache-2.0
"""Scripts over an exec, in a container that the API stand-in runs for real."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.transports.pod.exec import KEEP, exit_code, run, start, start_program
from memir.errors import ConnectError
from memir.kubeapi.client import Api, KubeOptions, make_api
from tests.acquire.rigs.kube import KubeServer
from tests.acquire.rigs.kube_node import Container
from tests.acquire.rigs.nodes import needs_root

POD: dict[str, Any] = {
    "metadata": {"name": "shell", "namespace": "ops"},
    "spec": {"containers": [{"name": "shell", "command": ["sleep", "600"]}]},
}
WHERE = ("ops", "shell")
pytestmark = needs_root


@pytest.fixture(params=["v5.channel.k8s.io", "v4.channel.k8s.io"])
def server(request: pytest.FixtureRequest) -> Iterator[KubeServer]:
    made = KubeServer(protocols=(request.param,))
    made.start()
    made.pods["shell"], made.containers["shell"] = POD, Container(POD)
    yield made
    made.stop()


@pytest.fixture
def api(server: KubeServer, tmp_path: Path) -> Api:
    return make_api(KubeOptions(str(server.kubeconfig(tmp_path / "kubeconfig"))))


def test_code_output_and_error(api: Api) -> None:
    done = run(start(api, *WHERE, "printf 'a\\0\\377'; echo oops >&2; exit 7", b""), 60, 1000)
    assert (done.code, done.out, done.err, done.truncated) == (7, b"a\0\xff", b"oops\n", False)


def test_the_data_arrives_whole_and_is_in_no_request(api: Api, server: KubeServer) -> None:
    data = secrets.token_bytes(1_000_003)
    done = run(start(api, *WHERE, "sha256sum", data), 60, 1000)
    assert done.out.split()[0].decode() == hashlib.sha256(data).hexdigest()
    (sent,) = server.execs
    assert "sha256sum" not in " ".join(sent.command)


@pytest.mark.parametrize(("claimed", "code"), [(300_000, 0), (300_001, 9)])
def test_a_capture_ends_when_its_bytes_have_arrived(api: Api, claimed: int, code: int) -> None:
    """It waits for a byte of standard input, which is sent when all that its receipt tells of is here, not before."""
    receipt = f'memir-receipt {{"tool":0,"consumer":0,"sha256":"","log":"","extra":{{"size":{claimed}}}}}'
    words = f"echo '{receipt}' >&2; head -c 300000 /dev/zero; read -t 3 -r line && exit 0; exit 9"
    done = run(start_program(api, *WHERE, ["/bin/bash", "-c", words], b""), 60, 1 << 20)
    assert (done.code, len(done.out)) == (code, 300_000)


def test_a_program(api: Api, server: KubeServer) -> None:
    done = run(start_program(api, *WHERE, ["head", "-c", "5"], b"abcdefgh"), 60, 1000)
    assert (done.code, done.out) == (0, b"abcde")
    assert server.execs[0].command == ["head", "-c", "5"]


def test_what_is_beyond_the_limits_is_dropped_and_said(api: Api) -> None:
    done = run(start(api, *WHERE, "printf 0123456789; head -c 200000 /dev/zero >&2", b""), 60, 4)
    assert (done.out, len(done.err), done.truncated) == (b"0123", 4, True)
    stream = start(api, *WHERE, "printf 0123456789; head -c 200000 /dev/zero >&2", b"")
    ended = stream.wait(60)
    stream.close()
    assert (ended.code, ended.out, len(ended.err), ended.truncated) == (0, b"", KEEP, True)


def test_a_stream_is_read_in_pieces(api: Api) -> None:
    stream = start(api, *WHERE, "printf 0123456789", b"")
    assert [stream.read(4), stream.read(4), stream.read(4), stream.read(4)] == [b"0123", b"4567", b"89", b""]
    assert stream.wait(60).code == 0
    stream.close()
    stream.close()


def test_a_script_that_does_not_end_is_cut(api: Api) -> None:
    with pytest.raises(ConnectError, match="did not end within 1 s; its connection was cut"):
        run(start(api, *WHERE, "sleep 600", b""), 1, 1000)
    stream = start(api, *WHERE, "sleep 600", b"")
    with pytest.raises(ConnectError, match="pod ops/shell: nothing was heard for 1 s"):
        stream.wait(1)
    stream.close()
    with pytest.raises(ConnectError, match="pod ops/shell"):
        stream.read(1)


@pytest.mark.parametrize("size", [0, 1000])
def test_a_lost_connection_is_no_end_of_output(api: Api, server: KubeServer, size: int) -> None:
    server.cut_exec = lambda _: size
    with pytest.raises(ConnectError, match="pod ops/shell: the connection to the pod"):
        run(start(api, *WHERE, "head -c 100000 /dev/zero", b""), 60, 1 << 20)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"status": "Success"}, 0),
        ({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "137"}]}}, 137),
        ({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "x"}]}}, None),
        ({"status": "Failure", "details": {"causes": ["hostile", {"reason": "Other", "message": "1"}]}}, None),
        ({"status": "Failure", "details": "hostile"}, None),
        ({}, None),
    ],
)
def test_exit_code(status: dict[str, Any], code: int | None) -> None:
    assert exit_code(status) == code
