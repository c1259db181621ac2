# SPDX-License-Identifier: Apache-2.0
"""The official Kubernetes client: where its configuration comes from, and its errors by name."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from memir.errors import AccessError, ConnectError, NodeError, RemoteError, UsageError

Api = Any
"""A kubernetes.client.ApiClient or one of its groups; the package has no types."""


@dataclass(frozen=True, slots=True)
class KubeOptions:
    """Which cluster: a kubeconfig file and context, the defaults, or the pod that memir itself runs in."""

    kubeconfig: str | None = None
    context: str | None = None


def make_api(options: KubeOptions, instead: str = "") -> Api:
    """An ApiClient. Each exec takes one of its own: the client swaps a method for its time, for every
    thread. instead: what the caller can do without an API server, for the message."""
    from kubernetes import client, config
    from kubernetes.config.config_exception import ConfigException

    configuration = client.Configuration()
    try:
        with _exec_plugin_errors() as messages:
            config.load_kube_config(
                options.kubeconfig,
                context=options.context,
                client_configuration=configuration,
                persist_config=False,
            )
        if messages:
            raise AccessError(f"the kubeconfig's exec plugin failed, so nobody is signed in: {messages[0]}")
    except ConfigException as error:
        if options.kubeconfig or options.context:
            raise UsageError(f"the kubeconfig cannot be used: {error}") from error
        try:
            config.load_incluster_config(client_configuration=configuration)
        except ConfigException as inner:
            raise AccessError(f"no kubeconfig and not in a pod ({inner}): pass --kubeconfig{instead}") from inner
    configuration.retries = 2
    return client.ApiClient(configuration)


@contextmanager
def _exec_plugin_errors() -> Iterator[list[str]]:
    """What the client only logs, and then goes on without credentials: why an exec plugin failed."""
    messages: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if record.levelno >= logging.ERROR and record.module == "kube_config":
                messages.append(message.strip()[:500])

    root, listener = logging.getLogger(), Listener()
    root.addHandler(listener)
    try:
        yield messages
    finally:
        root.removeHandler(listener)


@contextmanager
def calling(action: str, where: str) -> Iterator[None]:
    """What the client raises in the block is raised as RemoteError's own kind.

    action: verb and resource, as RBAC names them. where: for the message.
    """
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (ApiException, HTTPError) as error:
        raise explain(error, action, where) from error


def status_of(error: RemoteError) -> int:
    """The HTTP status behind an error that `calling` raised, 0 if there was none."""
    return int(getattr(error.__cause__, "status", 0) or 0)


def reason_of(error: RemoteError) -> str:
    """The API server's own words behind an error that `calling` raised, else the error's."""
    return message_of(error.__cause__) if status_of(error) else str(error)


def explain(error: Exception, action: str, where: str) -> RemoteError:
    """A client error as one of memir's own. action: verb and resource, as RBAC names them."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    if isinstance(error, ApiException):
        message = message_of(error)
        if error.status == 401:
            return AccessError(f"{where}: the cluster no longer accepts the credentials ({message}): sign in again")
        if error.status == 403:
            return AccessError(f"{where}: not allowed to {action} ({message}): bind a role that allows it")
        if error.status == 404:
            return NodeError(f"{where}: {action}: not found ({message})")
        if not error.status:
            return ConnectError(f"{where}: {action} did not get through: {message}")
        return NodeError(f"{where}: {action} failed with {error.status}: {message}")
    if isinstance(error, (HTTPError, OSError)):
        return ConnectError(f"{where}: {action} did not get through: {error}")
    raise error


def message_of(error: Any) -> str:
    """The message in an API error's body, else its reason."""
    try:
        body = json.loads(error.body or "")
    except (ValueError, TypeError):
        body = None
    if isinstance(body, dict) and body.get("message"):
        return str(body["message"])[:500]
    return str(error.reason)[:500]


def get_json(api: Api, path: str, query: Mapping[str, str], accept: str = "application/json") -> dict[str, Any]:
    """One GET as plain JSON, so that nothing that a newer API adds is lost. Raises ApiException,
    HTTPError."""
    return call_json(api, "GET", path, query=query, accept=accept)


def get_object(api: Api, path: str) -> dict[str, Any] | None:
    """One object; None where there is none (404). Raises RemoteError."""
    try:
        with calling("get", path):
            return call_json(api, "GET", path)
    except RemoteError as error:
        if status_of(error) == 404:
            return None
        raise


def call_json(
    api: Api, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None,
    accept: str = "application/json", content_type: str = "application/json", timeout: float = 60.0,
) -> dict[str, Any]:  # fmt: skip
    """One request as plain JSON. Raises ApiException, urllib3's HTTPError, and ConnectError for what is not
    JSON. content_type: of a body; a PATCH names its kind."""
    from urllib.parse import urlencode

    from kubernetes.client.exceptions import ApiException

    headers = {"Accept": accept} | authorization(api)
    if body is not None:
        headers["Content-Type"] = content_type
    url = api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
    sent = json.dumps(body) if body is not None else None
    # the client's own connections, with its certificates and proxy: its methods' signatures change with
    # versions
    response = api.rest_client.pool_manager.request(
        method, url, body=sent, headers=headers, timeout=timeout, retries=api.configuration.retries
    )
    data: bytes = response.data or b""
    if not 200 <= response.status <= 299:
        refused = ApiException(status=response.status, reason=response.reason)
        refused.body = data.decode("utf-8", "replace")
        raise refused
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ConnectError(f"{path}: the API server's answer is not JSON ({error}): was it cut?") from error
    if not isinstance(value, dict):
        raise ConnectError(f"{path}: the API server's answer is not an object")
    return value


def authorization(api: Api) -> dict[str, str]:
    """The headers that sign in, fresh from the client's own refresh hook."""
    settings = api.configuration.auth_settings().values()
    return {
        setting["key"]: setting["value"]
        for setting in settings
        if setting.get("in") == "header" and setting.get("value")
    }


def pages(api: Api, path: str, accept: str, limit: int = 500) -> Iterator[list[dict[str, Any]]]:
    """The items of a list, page by page. A list that expired midway (410) is read on from where it is now."""
    from kubernetes.client.exceptions import ApiException

    query = {"limit": str(limit)}
    while True:
        try:
            answer = get_json(api, path, query, accept)
        except ApiException as error:
            token = fresh_token(error) if "continue" in query else ""
            if not token:
                raise
            query["continue"] = token
            continue
        items = answer.get("items")
        yield [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        token = str((answer.get("metadata") or {}).get("continue") or "")
        if not token:
            return
        query["continue"] = token


def fresh_token(error: Any) -> str:
    """The continue token that a 410 Expired offers, "" if there is none."""
    if error.status != 410:
        return ""
    try:
        return str(json.loads(error.body)["metadata"]["continue"])
    except (ValueError, KeyError, TypeError):
        return ""


@contextmanager
def open_raw(api: Api, path: str, query: Mapping[str, str], timeout: float = 60.0) -> Iterator[Any]:
    """The body of one GET as it comes: urllib3's response, to be read piece by piece. Raises ApiException, HTTPError.

    timeout: seconds without a byte.
    """
    from urllib.parse import urlencode

    from kubernetes.client.exceptions import ApiException

    url = api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
    response = api.rest_client.pool_manager.request(
        "GET", url, headers={"Accept": "*/*"} | authorization(api), timeout=timeout, preload_content=False,
        retries=api.configuration.retries,
    )  # fmt: skip
    try:
        if not 200 <= response.status <= 299:
            refused = ApiException(status=response.status, reason=response.reason)
            refused.body = response.read(1 << 20).decode("utf-8", "replace")
            raise refused
        yield response
    finally:
        response.close()
        response.release_conn()
