# SPDX-License-Identifier: Apache-2.0
"""A service of AWS on the loopback, as strict as its model: for operations that moto does not have.

A request is held against the service's own model in botocore (operation, members, types, bounds), an answer is written
by its output shape. Whoever asks for what the model has not, or sends what it does not take, gets an error.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Operation = Callable[[dict[str, Any]], dict[str, Any]]


class Refused(Exception):  # noqa: N818
    """The service's error: its code, its HTTP status."""

    def __init__(self, code: str, status: int = 400, message: str = "no") -> None:
        super().__init__(message)
        self.code, self.status = code, status


class Strict:
    """Services by botocore's name, each with its operations. calls: (service, operation, parameters) in order."""

    def __init__(self, services: Mapping[str, Mapping[str, Operation]]) -> None:
        self.services = {name: dict(operations) for name, operations in services.items()}
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.denied: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def names(self) -> set[str]:
        """`service:Operation` of everything that was asked."""
        return {f"{service}:{operation}" for service, operation, _ in self.calls}

    def answer(self, service: str, name: str, params: dict[str, Any]) -> dict[str, Any]:
        from botocore.validate import ParamValidator

        self.calls.append((service, name, params))
        if f"{service}:{name}" in self.denied:
            raise Refused("AccessDeniedException", 403, f"User is not authorized to perform: {service}:{name}")
        operation = self.services.get(service, {}).get(name)
        if operation is None:
            raise Refused("UnknownOperationException", 404, f"{service} {name} is not expected here")
        shape = model(service).operation_model(name).input_shape
        if shape is not None:
            unknown = set(params) - set(shape.members)
            report = ParamValidator().validate(params, shape)
            if unknown or report.has_errors():
                raise Refused("ValidationException", 400, f"{sorted(unknown)} {report.generate_report()}")
        output = model(service).operation_model(name).output_shape
        return dict(_written(operation(params), output, model(service).metadata["protocol"]))


@functools.cache
def model(service: str) -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def _handler(strict: Strict) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            service = str(self.headers.get("Authorization")).split("/")[3]
            try:
                name, params = _asked(service, self.command, self.path, dict(self.headers), body)
                self._send(200, strict.answer(service, name, params))
            except Refused as error:
                self._send(error.status, {"__type": error.code, "message": str(error)}, error.code)

        do_GET = do_POST  # noqa: N815

        def _send(self, status: int, document: dict[str, Any], code: str = "") -> None:
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if code:
                self.send_header("x-amzn-ErrorType", code)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on stderr."""

    return Handler


def _asked(
    service: str, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[str, dict[str, Any]]:
    if target := headers.get("X-Amz-Target"):
        return target.rpartition(".")[2], _read(json.loads(body), model(service).operation_model(
            target.rpartition(".")[2]).input_shape)  # fmt: skip
    parts = urlsplit(path)
    for name in model(service).operation_names:
        operation = model(service).operation_model(name)
        path_of = re.escape(operation.http["requestUri"].split("?")[0])
        template = path_of.replace(r"\{", "(?P<").replace(r"\}", ">[^/]+)")
        match = re.fullmatch(template, parts.path)
        if match and operation.http["method"] == method:
            sent = {**json.loads(body or b"{}"), **dict(parse_qsl(parts.query)),
                    **{key: unquote(value) for key, value in match.groupdict().items()}}  # fmt: skip
            return name, _read(sent, operation.input_shape)
    raise Refused("UnknownOperationException", 404, f"{service} has no {method} {parts.path}")


def _read(value: Any, shape: Any) -> Any:
    """What was sent, by the names and types of the model."""
    if shape.type_name == "structure":
        names = {member.serialization.get("name", key): (key, member) for key, member in shape.members.items()}
        return {names[key][0] if key in names else key: _read(part, names[key][1]) if key in names else part
                for key, part in value.items()}  # fmt: skip
    if shape.type_name == "list":
        return [_read(part, shape.member) for part in value]
    if shape.type_name == "map":
        return {key: _read(part, shape.value) for key, part in value.items()}
    if shape.type_name in ("integer", "long") and isinstance(value, str):
        return int(value)
    return value


def _written(value: Any, shape: Any, protocol: str) -> Any:
    """An answer by the model's names; KeyError for a member that it has not."""
    if shape.type_name == "structure":
        return {shape.members[key].serialization.get("name", key): _written(part, shape.members[key], protocol)
                for key, part in value.items()}  # fmt: skip
    if shape.type_name == "list":
        return [_written(part, shape.member, protocol) for part in value]
    return value.timestamp() if isinstance(value, datetime) else value
