# SPDX-License-Identifier: Apache-2.0
"""Tools of an intruder that were looked for in a container and are not there."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

TOOLS = (
    "curl", "wget", "nmap", "masscan", "zmap", "nc", "ncat", "netcat", "socat", "tcpdump", "tshark", "dig", "gcc", "cc",
    "nslookup", "make", "git", "ssh", "scp", "sshpass", "telnet", "ftp", "kubectl", "crictl", "ctr", "docker", "aws",
    "nerdctl", "amicontained", "deepce.sh", "cdk", "peirates", "linpeas.sh", "xmrig", "chisel", "ngrok", "capsh",
    "proxychains", "nsenter", "unshare", "strace", "gdb",
)  # fmt: skip
LEAST = 3
"""Different tools: one or two are what a start script asks for."""
_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_NAMES = ", ".join(f"'{name}'" for name in TOOLS)
_PLACES = ", ".join(f"'{folder}'" for folder in _FOLDERS)
_SQL = f"""
    select container_id, any_value(container_name) as container_name, any_value(pod_uid) as pod_uid,
           any_value(pod_name) as pod_name, any_value(namespace) as namespace,
           list_sort(list(distinct regexp_extract(container_path, '[^/]+$'))) as names
    from lookups
    where container_id is not null and regexp_extract(container_path, '[^/]+$') in ({_NAMES})
      and regexp_replace(container_path, '/[^/]+$', '') in ({_PLACES})
    group by container_id having len(names) >= {LEAST} order by container_id
"""


def _find(look: Look) -> Iterator[Match]:
    for group in look.ask(_SQL):
        names = ", ".join(group["names"])
        container = look.by_container.get(group["container_id"])
        listed = ", ".join(f"'{name}'" for name in group["names"])
        yield Match(
            "medium", f"{len(group['names'])} different tools were looked for",
            f"{where(group)}: {short(names)} were looked for in the folders of programs, and are not there",
            group if container is None else look.with_init(container),
            (Proof("lookups", f"container_id = '{group['container_id']}' "
                              f"and regexp_extract(container_path, '[^/]+$') in ({listed})"),),
            subject=group["container_id"],
        )  # fmt: skip


DETECTION = Detection(
    kind="toolset-lookups",
    title="Tools that were looked for in a container",
    how=f"Memory keeps names that were looked for and are not there. {LEAST} or more of a list of tools (downloads, "
    "scans, compilers, clients of Kubernetes, AWS and containers, escapes) in the folders where programs lie: medium.",
    technique="T1046",
    tables=("lookups", "containers", "processes"),
    find=_find,
    why="A person or a script tried what the image does not have: a service does not.",
    check_next=("exec-session, and shell histories: table log", "what was fetched instead: created-executable"),
    benign=("start scripts that try curl, then wget", "a person who debugs the pod: the audit log names them"),
    missed=("tools that are there", "names that memory has let go", "less than three of them"),
    gaps=("dentry", "lookup"),
    also_known=("Falco: Launch Suspicious Network Tool in Container",),
)
