# SPDX-License-Identifier: Apache-2.0
"""A real API server with its controllers and etcd, without a kubelet: pods stand in it, and run nowhere.

The binaries are those of tests/lab/kube/2-kubernetes.sh; `tests/lab/check respond` builds them when they lack.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from memir.errors import RemoteError
from memir.kubeapi.client import Api, KubeOptions, call_json, calling, make_api
from memir.respond.actions.kube_fields import MERGE

CONTROLLERS = (
    "deployment", "replicaset", "replicationcontroller", "statefulset", "daemonset", "job", "disruption",
    "endpointslice", "serviceaccount", "namespace", "garbage-collector",
)  # fmt: skip


def binaries() -> Path | None:
    """The lab's folder, None when its binaries were not built."""
    cache = os.environ.get("MEMIR_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memir"
    folder = Path(os.environ.get("LAB") or Path(cache) / "lab" / "kube")
    names = ("etcd/etcd", "k8s/kube-apiserver", "k8s/kube-controller-manager")
    return folder if all((folder / name).is_file() for name in names) else None


def until(what: str, test: Callable[[], Any], seconds: float = 120) -> Any:
    """The first answer that is not empty. The time is a bound on a hang, not a measure."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := test():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds} s")


class KubeRig:
    """start() and stop(); api is an administrator's client."""

    def __init__(self, folder: Path, lab: Path) -> None:
        self.folder, self.lab = folder, lab
        self.processes: list[subprocess.Popen[bytes]] = []
        self.ports = [_free_port() for _ in range(3)]
        self.kubeconfig = folder / "admin.conf"
        self.api: Api = None

    def start(self) -> None:
        _pki(self.folder)
        etcd, peer, secure = self.ports
        client, folder = f"http://127.0.0.1:{etcd}", self.folder
        self._run(
            "etcd", self.lab / "etcd/etcd", f"--data-dir={folder}/etcd", f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}", "--unsafe-no-fsync",
        )  # fmt: skip
        self._run(
            "apiserver", self.lab / "k8s/kube-apiserver", f"--etcd-servers={client}", "--bind-address=127.0.0.1",
            f"--secure-port={secure}", "--advertise-address=10.0.2.2", f"--tls-cert-file={folder}/server.crt",
            f"--tls-private-key-file={folder}/server.key", f"--client-ca-file={folder}/ca.crt",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={folder}/sa.pub",
            f"--service-account-signing-key-file={folder}/sa.key", "--service-cluster-ip-range=10.100.0.0/16",
            "--authorization-mode=RBAC", "--endpoint-reconciler-type=none", "--watch-cache=true",
        )  # fmt: skip
        self.kubeconfig.write_text(f"""apiVersion: v1
kind: Config
clusters: [{{name: rig, cluster: {{certificate-authority: {folder}/ca.crt, server: "https://127.0.0.1:{secure}"}}}}]
users: [{{name: admin, user: {{client-certificate: {folder}/admin.crt, client-key: {folder}/admin.key}}}}]
contexts: [{{name: rig, context: {{cluster: rig, user: admin}}}}]
current-context: rig
""")
        self.api = make_api(KubeOptions(str(self.kubeconfig)))
        until("the API server", lambda: self._answers("/readyz?verbose"))
        named = ",".join(f"{name}-controller" for name in CONTROLLERS)
        self._run(
            "controller-manager", self.lab / "k8s/kube-controller-manager", f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={folder}/sa.key", f"--root-ca-file={folder}/ca.crt",
            "--bind-address=127.0.0.1", f"--secure-port={_free_port()}", "--leader-elect=false",
            f"--controllers={named}",
        )  # fmt: skip
        until("the default account", lambda: self._answers("/api/v1/namespaces/default/serviceaccounts/default"))

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def _run(self, name: str, *words: object) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        self.processes.append(subprocess.Popen([str(word) for word in words], stdout=log, stderr=log))

    def _answers(self, path: str) -> bool:
        response = None
        try:
            response = self.api.rest_client.pool_manager.request(
                "GET", self.api.configuration.host + path, retries=False, timeout=5
            )
        except Exception:  # noqa: BLE001  (not up yet)
            return False
        return bool(response.status == 200)

    # objects

    def call(self, method: str, path: str, body: object = None, **more: Any) -> dict[str, Any]:
        with calling(method, path):
            return call_json(self.api, method, path, body=body, **more)

    def get(self, path: str) -> dict[str, Any] | None:
        try:
            return self.call("GET", path)
        except RemoteError:
            return None

    def items(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.call("GET", path)["items"]
        return items

    def merge(self, path: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        return self.call("PATCH", path, patch, content_type=MERGE)

    def namespace(self, name: str) -> None:
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        until("the account", lambda: self._answers(f"/api/v1/namespaces/{name}/serviceaccounts/default"))

    def node(self, name: str) -> None:
        node = {
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {"providerID": "aws:///eu-west-1a/i-0abc1234def567890"},
        }
        self.call("POST", "/api/v1/nodes", node)
        self.merge(f"/api/v1/nodes/{name}", {"spec": {"taints": None}})  # a new node has that of one not ready
        resources = {"cpu": "8", "memory": "16Gi", "pods": "110"}
        condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        self.merge(f"/api/v1/nodes/{name}/status", {
            "status": {"capacity": resources, "allocatable": resources, "conditions": [condition]}
        })  # fmt: skip

    def pods(self, namespace: str, labels: str = "") -> list[dict[str, Any]]:
        query = f"?labelSelector={labels.replace('=', '%3D')}" if labels else ""
        return self.items(f"/api/v1/namespaces/{namespace}/pods{query}")

    def run_pod(self, pod: Mapping[str, Any], ready: bool = True, node: str = "node-1") -> None:
        """What scheduler and kubelet would do: bind it, say that it runs."""
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        if not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": node}
            self.call("POST", f"{path}/binding", {"metadata": {"name": meta["name"]}, "target": target})
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.merge(f"{path}/status", {"status": {
            "phase": "Running", "podIP": "10.0.1.9", "startTime": since,
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": since}],
        }})  # fmt: skip


@contextmanager
def running(folder: Path) -> Iterator[KubeRig]:
    """One with a node, in this folder, until the end. Without the binaries the test is skipped, which says how."""
    lab = binaries()
    if lab is None:
        pytest.skip("no kube-apiserver and etcd: tests/lab/check respond builds them")
    made = KubeRig(folder, lab)
    try:
        made.start()
        made.node("node-1")
        yield made
    finally:
        made.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _pki(folder: Path) -> None:
    """A CA, the server's certificate, an administrator's (O=system:masters), a key for tokens."""
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rig")])
    _write(folder / "ca", authority, _certificate(authority, issuer, issuer, authority, ca=True))
    for name, common, group in (("server", "kube-apiserver", ""), ("admin", "responder", "system:masters")):
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
        names += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
        _write(folder / name, key, _certificate(key, x509.Name(names), issuer, authority))
    tokens = rsa.generate_private_key(65537, 2048)
    (folder / "sa.key").write_bytes(_pem(tokens))
    public = tokens.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "sa.pub").write_bytes(public)


def _certificate(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, by: ec.EllipticCurvePrivateKey,
    ca: bool = False,
) -> x509.Certificate:  # fmt: skip
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca, None), True)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    if ca:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, True)
    return builder.sign(by, hashes.SHA256())


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)


def _write(path: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    path.with_suffix(".key").write_bytes(_pem(key))
    path.with_suffix(".crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
