# SPDX-License-Identifier: Apache-2.0
"""tests/lab/check isolation: what a plan's isolation cuts, on a real node with a real enforcer of NetworkPolicies.

A policy that exists is no isolation. First nobody enforces policies: the step says that it cuts nothing, and it does
not. Then kube-network-policies (kubernetes-sigs; nftables) runs: a new connection from the suspect and to it fails, its
replica serves and connects, a session that was open goes on; after undo the suspect connects again. All by memir's own
commands. Prints a table; exit code 1 if a line of it is wrong. By hand: root, Debian, Go, about 15 minutes once the
node's parts are there. In a network namespace of its own, so that nothing else listens on the lab's ports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from memir.respond.launch import save_plan
from memir.respond.plan import read_plan
from tests.images import ROOT
from tests.lab.pod_images import HERE, kubectl, lab, memir, node, script
from tests.respond.worlds import only

OWN = "MEMIR_LAB_NETWORK"
SECONDS = 300
"""A bound on what an emulated node takes, no measure."""
SESSION = """
import socket, sys, time
link = socket.create_connection((sys.argv[1], 7000), 60)
for number in range(100000):
    link.sendall(b"tick %d\\n" % number)
    answer = b""
    while not answer.endswith(b"\\n"):
        part = link.recv(100)
        if not part:
            sys.exit("the other end closed")
        answer += part
    print(answer.decode().strip(), flush=True)
    time.sleep(1)
"""


@dataclass(frozen=True)
class Pod:
    """name, address, and the process of one of its containers on the node."""

    name: str
    address: str
    pid: int


def pods() -> dict[str, Pod]:
    """The scenario's, by name; running ones."""
    tasks = {line.split()[0]: int(line.split()[1]) for line in node("ctr -n k8s.io task ls").splitlines()[1:]}
    made = {}
    for item in json.loads(kubectl("get", "pods", "-A", "-o", "json"))["items"]:
        status = item["status"]
        ids = [each.get("containerID", "").rpartition("//")[2] for each in status.get("containerStatuses", [])]
        pids = [tasks[ident] for ident in ids if ident in tasks]
        if pids and status.get("podIP"):
            name = item["metadata"]["name"]
            made[name] = Pod(name, status["podIP"], pids[0])
    return made


def connects(source: Pod, target: Pod, port: int) -> bool:
    """Whether a new connection from one pod's network to another is made and answered."""
    url = f"http://{target.address}:{port}/"
    return node(f"nsenter -t {source.pid} -n curl -s -m 20 -o /dev/null -w %{{http_code}} {url}; true").strip() == "200"


def until(what: str, test: Callable[[], bool], bound: float = SECONDS) -> float:
    """Seconds until it is so; ends the check where it is not within so many."""
    began = time.monotonic()
    while not test():
        if time.monotonic() - began > bound:
            raise SystemExit(f"{what}: not within {bound:.0f} s")
        time.sleep(2)
    return time.monotonic() - began


def ticks() -> int:
    """Answers that the open session has had."""
    return int(node("cat /run/session.log 2>/dev/null | wc -l"))


class Table:
    """Lines of what was seen and whether it is as it must be."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, bool]] = []

    def add(self, point: str, value: object, right: bool) -> None:
        """Printed at once: a node takes minutes."""
        self.lines.append((point, str(value), right))
        print(f"| {point} | {value} | {'right' if right else 'WRONG'} |", flush=True)


def isolate(table: Table, suspect: Pod, folder: Path, words: str) -> tuple[Path, str]:
    """Plan and run the one step by the command line. words: what the step must say of who enforces policies."""
    config = lab() / "admin.conf"
    whole, plan = folder / "whole.yaml", folder / "plan.yaml"
    code, text, _ = memir("plan", "--pod", f"shop/{suspect.name}", "--by", "pod", "--kubeconfig", config, "-o", whole)
    if code:
        raise SystemExit(f"memir plan ended with {code}: {text}")
    digest = save_plan(only(read_plan(whole)[0], "isolate-pod"), plan)
    (step,) = read_plan(plan)[0].steps
    limit = next((limit for limit in step.limits if words in limit), "")
    table.add("the step says", limit or step.limits, bool(limit))
    code, text, seconds = memir("respond", plan, "--execute", "--approve", digest, "--kubeconfig", config)
    table.add("memir respond --execute", f"exit code {code}, {seconds:.0f} s", code == 0)
    return plan, digest


def undo(table: Table, plan: Path, digest: str) -> None:
    """Taken back by the command line."""
    code, text, _ = memir("respond", plan, "--undo", "--approve", digest, "--kubeconfig", lab() / "admin.conf")
    table.add("memir respond --undo", f"exit code {code}" + (f": {text}" if code else ""), code == 0)


def nobody_enforces(table: Table, all_pods: dict[str, Pod], folder: Path) -> None:
    """The policy is there, and cuts nothing."""
    folder.mkdir()
    suspect, api = named(all_pods, "web-"), named(all_pods, "api-")
    plan, digest = isolate(table, suspect, folder, "CUTS NOTHING: nobody enforces policies here")
    time.sleep(10)
    table.add("no enforcer: a new connection from the isolated pod", "is made", connects(suspect, api, 8080))
    undo(table, plan, digest)


def enforced(table: Table, all_pods: dict[str, Pod], folder: Path) -> None:
    """The same with an enforcer."""
    folder.mkdir()
    suspect, api, ledger = named(all_pods, "web-"), named(all_pods, "api-"), all_pods["ledger"]
    replica = next(pod for name, pod in sorted(all_pods.items()) if name.startswith("web-") and pod != suspect)
    node("cat > /run/session.py", data=SESSION.encode())
    node(
        "systemd-run --collect --unit=session sh -c"
        f" 'exec nsenter -t {suspect.pid} -n python3 /run/session.py {ledger.address} > /run/session.log 2>&1'"
    )
    until("the session to begin", lambda: ticks() > 2)
    before = [connects(suspect, api, 8080), connects(api, suspect, 80), connects(api, replica, 80)]
    table.add("before: from the suspect, to it, to its replica", before, all(before))
    plan, digest = isolate(table, suspect, folder, "enforced by kube-network-policies")
    seconds = until("the policy to bind", lambda: not connects(suspect, api, 8080))
    table.add("a new connection from the suspect", f"fails (within {seconds:.0f} s, its timeout of 20 s too)", True)
    table.add("a new connection to the suspect", "fails", not connects(api, suspect, 80))
    serves = [connects(api, replica, 80), connects(replica, api, 8080)]
    table.add("its replica serves and connects", serves, all(serves))
    count = ticks()
    time.sleep(15)
    table.add("the session that was open", f"{count} answers, then {ticks()}", ticks() > count)
    undo(table, plan, digest)
    until("the suspect to connect again", lambda: connects(suspect, api, 8080))
    table.add("after undo: a new connection from the suspect", "is made", True)


def named(all_pods: dict[str, Pod], prefix: str) -> Pod:
    """The first pod whose name begins so."""
    return next(pod for name, pod in sorted(all_pods.items()) if name.startswith(prefix))


def start_enforcer() -> None:
    """Its image (2b-enforcer.sh) into the node's containerd, its DaemonSet, and its rules in the kernel."""
    node("ctr -n k8s.io images import -", data=(lab() / "enforcer/enforcer.tar").read_bytes(), limit=900)
    kubectl("apply", "-f", str(HERE / "enforcer.yaml"))
    until("the enforcer's rules", lambda: "queue" in node("nft list ruleset; true"))


def alone(module: str) -> int | None:
    """The exit code of this check, run in a network namespace of its own; None where this is that run."""
    if OWN in os.environ:
        return None
    own = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    environment = os.environ | {OWN: "1"}
    return subprocess.run([*own, sys.executable, "-m", module], cwd=ROOT, env=environment, check=False).returncode


def build() -> None:
    """The node's parts, where they were not made."""
    if not (lab() / "node.img").is_file():
        for step in ("1-packages.sh", "2-kubernetes.sh", "3-node.sh"):
            script(step)


def main() -> int:
    """0 if every line is right."""
    if OWN not in os.environ:  # what needs the network comes before the namespace without one
        build()
        script("2b-enforcer.sh")
    if (code := alone("tests.lab.isolation")) is not None:
        return code
    table = Table()
    try:
        script("4-up.sh", os.environ.get("MB", "1024"), "init_on_free=1")
        with tempfile.TemporaryDirectory(prefix="memir-isolation-") as folder:
            nobody_enforces(table, pods(), Path(folder) / "none")
            start_enforcer()
            enforced(table, pods(), Path(folder) / "enforced")
    finally:
        script("7-down.sh")
    return int(not table.lines or not all(right for _, _, right in table.lines))


if __name__ == "__main__":
    sys.exit(main())
