# SPDX-License-Identifier: Apache-2.0
"""The client's configuration and its errors by name."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from memir.errors import AccessError, ConnectError, NodeError, RemoteError, UsageError
from memir.kubeapi.client import (
    KubeOptions,
    authorization,
    call_json,
    calling,
    explain,
    fresh_token,
    get_json,
    get_object,
    make_api,
    message_of,
    open_raw,
    pages,
    reason_of,
    status_of,
)
from tests.acquire.rigs.kube import KubeServer
from tests.respond import shop


def kubeconfig(folder: Path, user: str) -> KubeOptions:
    path = folder / "config"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        f"contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {user}}}]\n"
    )
    return KubeOptions(str(path))


def test_an_exec_plugin_that_fails_is_the_reason(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text("#!/bin/sh\necho 'the SSO session has expired' >&2\nexit 1\n")
    plugin.chmod(0o755)
    user = f"{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {plugin}}}}}"
    before = list(logging.getLogger().handlers)
    with pytest.raises(AccessError, match="exec plugin failed, so nobody is signed in"):
        make_api(kubeconfig(tmp_path, user))
    assert logging.getLogger().handlers == before


def test_a_token(tmp_path: Path) -> None:
    api = make_api(kubeconfig(tmp_path, "{token: secret}"))
    assert authorization(api) == {"authorization": "Bearer secret"}
    with pytest.raises(ConnectError, match="get x did not get through"), calling("get x", "here"):
        get_json(api, "/x", {})
    with pytest.raises(ConnectError, match="list"), calling("list", "here"):
        list(pages(api, "/x", "application/json"))
    with pytest.raises(ConnectError), calling("post", "here"):
        call_json(api, "POST", "/x", body={})
    with pytest.raises(UsageError, match="kubeconfig cannot be used"):
        make_api(KubeOptions(str(tmp_path / "none")))


def test_one_object_or_none(tmp_path: Path) -> None:
    """What the API has, None for 404, and what else is refused as it is."""
    server = shop.server()
    try:
        api = make_api(KubeOptions(str(server.start(tmp_path))))
        pod = get_object(api, f"/api/v1/namespaces/shop/pods/{shop.WEB}")
        assert pod is not None and pod["metadata"]["name"] == shop.WEB
        assert get_object(api, "/api/v1/namespaces/shop/pods/none") is None
    finally:
        server.stop()
    with pytest.raises(ConnectError, match="/x: get did not get through"):
        get_object(make_api(kubeconfig(tmp_path, "{token: secret}")), "/x")


def refusal(status: int, body: object = None) -> Exception:
    from kubernetes.client.exceptions import ApiException

    error = ApiException(status=status, reason="because")
    error.body = json.dumps(body) if body is not None else None
    return error  # type: ignore[no-any-return]  # the package has no types


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, AccessError, "no longer accepts"), (403, AccessError, "not allowed to get pods"),
        (404, NodeError, "not found"), (500, NodeError, "failed with 500"), (0, ConnectError, "did not get through"),
    ],
)  # fmt: skip
def test_refusals_in_words(status: int, kind: type[RemoteError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught, calling("get pods", "node a"):
        raise refusal(status, {"message": "the reason"})
    assert status_of(caught.value) == status
    assert reason_of(caught.value) == ("the reason" if status else str(caught.value))
    assert message_of(refusal(1)) == "because"
    assert isinstance(explain(OSError("gone"), "x", "y"), ConnectError)


def test_a_list_that_expired_is_read_on() -> None:
    assert fresh_token(refusal(410, {"metadata": {"continue": "t2"}})) == "t2"
    assert fresh_token(refusal(410, {})) == fresh_token(refusal(500)) == ""


def test_a_body_as_it_comes(tmp_path: Path) -> None:
    from kubernetes.client.exceptions import ApiException

    server = KubeServer()
    server.start()
    try:
        api = make_api(KubeOptions(str(server.kubeconfig(tmp_path / "kubeconfig"))))
        with open_raw(api, "/version", {"x": "a b"}) as body:
            assert (body.read(3), json.loads(b'{"g' + body.read())["gitVersion"]) == (b'{"g', "v1.34.1")
        with pytest.raises(ApiException) as refused, open_raw(api, "/api/v1/namespaces/a/pods/none", {}):
            pass
        assert message_of(refused.value) == 'pods "none" not found'
    finally:
        server.stop()
