# SPDX-License-Identifier: Apache-2.0
"""Files of the node that start programs or let people in, changed since it was set up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

_SETUP = timedelta(minutes=10)
"""After boot a node writes its own units, keys and static pods (cloud-init, bootstrap scripts)."""
_PLACES = {
    "cron job": r"^/(etc/cron\.(d|hourly|daily|weekly|monthly)/.+|etc/crontab|etc/anacrontab|var/spool/cron/.+)$",
    "systemd unit": r"^/(etc|usr/lib|lib|usr/local/lib)/systemd/(system|user)/.+\.(service|timer|path|socket|conf)$",
    "SSH key": r"^/(root|home/[^/]+)/\.ssh/(authorized_keys2?|rc)$",
    "SSH configuration": r"^/etc/ssh/sshd_config(\.d/.+)?$",
    "static pod": r"^/(etc/kubernetes/manifests|etc/kubelet\.d|etc/kubernetes/static-pods)/.+\.(ya?ml|json)$",
    "profile script": r"^/(etc/profile(\.d/.+)?|etc/bash\.bashrc|etc/environment)$",
    "login script": r"^/(root|home/[^/]+)/\.(bashrc|profile|bash_profile|zshrc)$",
    "start script": r"^/(etc/rc\.local|etc/init\.d/.+|etc/update-motd\.d/.+)$",
    "loader configuration": r"^/etc/ld\.so\.(preload|conf(\.d/.+)?)$",
    "account": r"^/etc/(passwd|shadow|sudoers(\.d/.+)?)$",
    "login module": r"^/etc/pam\.d/.+$",
}  # fmt: skip
_SQL = """
    select * from inodes
    where kind = 'regular' and not freed and node_path is not null and layer in ('node', 'tmpfs')
      and (node_path like '/etc/%' or node_path like '/root/%' or node_path like '/home/%'
           or node_path like '/var/spool/cron/%' or node_path like '%/systemd/%')
"""


def _find(look: Look) -> Iterator[Match]:
    boot = look.process(1).get("start_time")
    if boot is None:
        return
    cases = " ".join(f"when regexp_matches(node_path, '{pattern}') then '{name}'" for name, pattern in _PLACES.items())
    sql = f"select *, case {cases} end as place from ({_SQL}) where place is not null"
    for file in look.ask(sql):
        changed = max((time for time in (file["mtime"], file["btime"]) if time is not None), default=None)
        if changed is None or changed < boot:
            continue
        early = changed - boot < _SETUP
        after = str(changed - boot).split(".")[0]
        gone = ", and has been deleted" if file["deleted"] else ""
        yield Match(
            "info" if early else "medium",
            f"changed {after} after boot" + (", as a node does that sets itself up" if early else ""),
            f"{file['place']} {short(file['node_path'])} of the node was changed since boot{gone}"
            + (f" ({where(file)})" if file["pod_name"] else ""),
            {**file, "pid": None}, (Proof("inodes", f"address = {file['address']} and inode = {file['inode']}"),),
            file["node_path"], first_seen=changed,
        )  # fmt: skip


DETECTION = Detection(
    kind="persistence",
    title="What starts programs on the node, or lets people in, was changed",
    how="A file of the node (cron, systemd units, SSH keys and configuration, static pods, profile and start scripts, "
    "loader, accounts, PAM) has a content or birth time after the node's boot. Info in the first 10 minutes, in which "
    "nodes set themselves up, then medium.",
    technique="T1543",
    # namespaces: of a source that has the node itself, and not of a pod's layers alone
    tables=("inodes", "processes", "namespaces"),
    find=_find,
    why="Nodes are thrown away, not administered: what is changed on one that runs was changed by hand.",
    check_next=("its content: `memir extract files IMAGE -o DIR --path PATH`", "who wrote it: host-path"),
    benign=("configuration management, agents that install themselves, package updates", "people who debug the node"),
    missed=("files that memory has let go", "times that were set back", "what lies on overlays"),
    gaps=("inode", "dentry"),
    also_known=("Falco: Schedule Cron Jobs", "Falco: Adding ssh keys to authorized_keys",
                "GuardDuty: Persistence:Runtime/SuspiciousCommand"),
)  # fmt: skip
