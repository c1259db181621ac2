# SPDX-License-Identifier: Apache-2.0
"""Opening an exec in a pod: the websocket alone; memir/acquire/transports/pod/exec.py speaks through it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from memir.errors import RemoteError
from memir.kubeapi.client import Api, explain


def open_exec(api: Api, namespace: str, pod: str, command: Sequence[str], container: str = "") -> Any:
    """The websocket of a command's standard input, output and error. `api` is used for nothing else.

    container: which of the pod's, "" where it has one alone. Raises AccessError, NodeError or ConnectError.
    """
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException
    from kubernetes.stream import stream

    where = f"pod {namespace}/{pod}" + (f", container {container}" if container else "")
    which = {"container": container} if container else {}
    try:
        opened = stream(
            client.CoreV1Api(api).connect_get_namespaced_pod_exec, pod, namespace, command=list(command),
            stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False, **which,
        )  # fmt: skip
    except ApiException as error:
        raise exec_error(error, where) from error
    except OSError as error:
        raise explain(error, "create pods/exec", where) from error
    return opened.sock


def exec_error(error: Any, where: str) -> RemoteError:
    """The client reports a refused handshake with status 0, the HTTP status and the server's answer in its words.

    Which right lacks is the server's to say: get for the handshake, create besides from Kubernetes 1.35 on.
    """
    text = str(error.reason)
    handshake = re.search(r"Handshake status (\d{3})", text)
    if handshake and not error.status:
        error.status = int(handshake[1])
        if message := re.search(r'"message": ?("(?:[^"\\]|\\.){1,2000}")', text):
            error.body = f'{{"message": {message[1]}}}'
    verb = re.search(r"cannot (get|create) resource", text)
    return explain(error, f"{verb[1] if verb else 'create'} pods/exec", where)
