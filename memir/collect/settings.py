# SPDX-License-Identifier: Apache-2.0
"""What `memir collect` takes as options: the shared ones, and those of a pod from its node's side.

An option is a field (memir.acquire.settings). Nothing heavy is imported: `memir collect --help` reads this.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from memir.acquire.settings import argument, option
from memir.acquire.transports.pod.options import IMAGE


@dataclass
class Collecting:
    """Options of every way. name: what is collected.

    output: a folder, or s3://BUCKET/PREFIX, where `to` is then not given: the folder of the record gets a name.
    """

    name: str = argument("The pod.", "NAMESPACE/NAME")
    output: str = option(
        dataclasses.MISSING, "Evidence folder, new or empty, or S3 prefix.", "-o", "--output", metavar="DIR|s3://..."
    )
    to: str = option("", "The files go there, and -o DIR has the record of them.", metavar="s3://...")
    memory: bool = option(True, "Memory of each process, as ELF cores.", "--memory/--no-memory")
    rootfs: bool = option(False, "Whole root file systems too, not what was written.")
    sign_key: Path | None = option(None, "Ed25519 private key to sign with.")
    timestamp_url: str = option("", "RFC 3161 time stamp authority that dates the end.")
    case: str = option("", "Case or ticket, written into the manifest.")
    max_size: str = option("", "Bytes of all files at most, as 20G.")
    object_lock: str = option("", "GOVERNANCE:DAYS or COMPLIANCE:DAYS.")
    kms_key: str = option("", "KMS key that encrypts what is stored in S3.")
    bucket_owner: str | None = option(None, "Account (12 digits) that must own the bucket.")
    s3_endpoint: str | None = option(None, "Another S3 endpoint.")
    region: str | None = option(None, "AWS region.")
    profile: str | None = option(None, "AWS profile.")


@dataclass
class InCluster(Collecting):
    """Options of what an API server of Kubernetes is asked about."""

    kubeconfig: str | None = option(None, "Instead of ~/.kube/config.")
    context: str | None = option(None, "Context of the kubeconfig.")


@dataclass
class Settings(InCluster):
    """Everything of a pod's containers: the API's view, logs, processes, sockets, memory, writable layers.

    Read from the node's side, never by exec into a container; nothing is written on the node. `memir verify DIR` judges
    it again. Exit 0: whole. 4: partial, or the node or the API server did not answer. 130: interrupted, the rest kept.
    """

    transport: str = option("pod", "Way to the node: pod (a privileged one), ssh, ssm or local.")
    host: str | None = option(None, "The pod's node, over ssh.", metavar="USER@HOST")
    port: int | None = option(None, "Of ssh, instead of 22.", "--port", "-p", minimum=1, maximum=65535)
    identity: Path | None = option(None, "Key of ssh.", "--identity", "-i")
    known_hosts: Path | None = option(None, "Instead of ~/.ssh/known_hosts.")
    ssh_config: Path | None = option(None, "Instead of ~/.ssh/config.", "--ssh-config", "-F")
    jump: str | None = option(None, "[user@]host[:port],... to go through.", "--jump", "-J")
    sudo: bool = option(False, "Local: run the steps with sudo.")
    root: Path | None = option(None, "Local: where the node's root is mounted.")
    node: str | None = option(None, "Pod: another node than the API server says.")
    namespace: str = option("default", "Pod: where the privileged pod is made.", "--namespace", "-n")
    image: str = option(IMAGE, "Pod: image of the privileged pod; needs sh and coreutils.")
    instance_id: str = option("", "Ssm: instead of the node's of the API server.")
    spool: str = option("", "Ssm: the stream passes there, if not below --to.", metavar="s3://...")
    ssm_endpoint: str | None = option(None, "Another SSM endpoint.")
    uid: str = option("", "The pod's UID: the API server is not asked.")
    checkpoint: bool = option(False, "The kubelet's checkpoint of each container too; needs CRIU there.")
    dry_run: bool = option(False, "Print every step and trace; collect nothing.")
