# SPDX-License-Identifier: Apache-2.0
"""Who belongs where: processes made to contradict themselves. Whole nodes with intruders: tests/test_intruders.py."""

from __future__ import annotations

from typing import Any

from memir.kernel.cgroup import Hierarchies
from memir.kube.claims import Claim, of_process
from memir.kube.identity import Identity, identify, memberships, place
from memir.kube.processes import Process
from memir.kube.runtime import RuntimeFiles

HOST = {"mnt": 1, "pid": 2, "net": 3, "ipc": 4, "uts": 5, "user": 6, "cgroup": 7, "time": 8}
POD = "aaaaaaaa-1111-4111-8111-0123456789ab"
ID = "a" * 64
CGROUP = f"/kubepods/besteffort/pod{POD}/{ID}"


def process(pid: int, ppid: int, cgroup: str | None, namespaces: dict[str, int], **more: Any) -> Process:
    columns: dict[str, Any] = {
        "task": pid << 12, "pid": pid, "ppid": ppid, "tgid": pid, "comm": "x", "args": ["x"], "environ": [],
        "exe": "/x", "exe_deleted": False, "start": pid, "uid": 0, "cap_effective": 0, "seccomp": 0, "pids": [pid],
        "threads": 1, "kernel_thread": False, "state": "S",
        "cgroups": Hierarchies(((0, "", cgroup),)) if cgroup else None,
        "namespaces": HOST | namespaces, "hostname": "node", "seen_by": [],
    }  # fmt: skip
    return Process(**columns | more)


def placed(*rows: Process) -> list[Identity]:
    every = [process(1, 0, "/init.scope", {}), *rows]
    return identify(every, memberships(every, RuntimeFiles(), None))[1:]


INIT = process(10, 1, CGROUP, {"mnt": 11, "pid": 12, "net": 13}, pids=[10, 1])


def test_own_namespaces_are_no_disagreement() -> None:
    init, child = placed(INIT, process(11, 10, CGROUP, {"mnt": 11, "pid": 12, "net": 13}, pids=[11, 2]))
    for found in (init, child):
        assert (found.container_id, found.pod_uid, found.in_container) == (ID, POD, True)
        assert found.witnesses == [f"cgroup=container:{ID}", f"mnt_ns=container:{ID}", f"net_ns=pod:{POD}"]
        assert found.disagreements == []


def test_host_network_of_a_container_is_no_disagreement() -> None:
    init = process(10, 1, CGROUP, {"mnt": 11, "pid": 12}, pids=[10, 1])
    assert [one.disagreements for one in placed(init)] == [[]]


def test_cgroup_unknown() -> None:
    """A torn cgroup: the namespaces still place the process; without them nothing is claimed, for or against."""
    by_mounts, nothing, host = placed(
        INIT,
        process(20, 1, None, {"mnt": 11, "pid": 12, "net": 13}),
        process(21, 1, None, dict.fromkeys(HOST, 0)),
        process(22, 1, "/system.slice/x.service", {}),
    )[1:]
    assert (by_mounts.container_id, by_mounts.pod_uid, by_mounts.in_container) == (ID, POD, True)
    assert (nothing.in_container, nothing.witnesses, nothing.disagreements) == (None, [], [])
    assert (host.in_container, host.witnesses, host.disagreements) == (False, [], [])


def test_init_is_gone() -> None:
    """Of a container whose first process is not there only the node's mounts speak against a process."""
    late = process(30, 1, CGROUP, {"mnt": 11, "pid": 12, "net": 13}, pids=[30, 7])
    every = [process(1, 0, "/init.scope", {}), late]
    known = memberships(every, RuntimeFiles(), None)
    assert known.init[ID] is late
    assert known.stand_in == {ID}
    bare = process(31, 1, CGROUP, {})
    assert placed(bare)[0].disagreements == ["mnt_ns=host"]


def test_host_namespaces_where_process_1_is_torn() -> None:
    torn = process(1, 0, "/init.scope", {"net": 0, "mnt": 0, "pid": 0})
    threads = [process(2 + at, 0, "/", {"pid": 0}, kernel_thread=True) for at in range(3)]
    threads[0].namespaces["mnt"] = 99
    known = memberships([torn, *threads], RuntimeFiles(), None)
    assert known.host == HOST | {"pid": 0xEFFFFFFC}


def test_environment_alone_places_nobody() -> None:
    """Whoever wants to writes an environment; beside a cgroup of the node's it is a contradiction, no proof."""
    files = RuntimeFiles()
    known = memberships([process(1, 0, "/init.scope", {}), INIT], files, None)
    known.pod_by_name["web-0"] = POD
    environ = ["HOSTNAME=web-0", "KUBERNETES_SERVICE_HOST=10.96.0.1"]
    liar, torn = identify(
        [
            process(40, 1, "/system.slice/x.service", {}, environ=environ),
            process(41, 1, None, dict.fromkeys(HOST, 0), environ=environ),
        ],
        known,
    )
    assert (liar.in_container, liar.pod_uid, liar.disagreements) == (False, None, [f"env=pod:{POD}"])
    assert (torn.in_container, torn.pod_uid, torn.witnesses) == (None, None, [f"env=pod:{POD}"])
    assert torn.disagreements == []


def test_claims_are_data() -> None:
    """What the texts of the columns say is there as claims: subject, field, value, witness."""
    every = [process(1, 0, "/init.scope", {}), INIT, process(11, 10, CGROUP, {"mnt": 11, "pid": 12})]
    known = memberships(every, RuntimeFiles(), None)
    stepped = identify(every, known)[2]
    assert [place(claim) for claim in stepped.contradicting] == ["host"]
    assert stepped.contradicting == [Claim(of_process(11), "in_container", False, "net_ns")]
    assert Claim(of_process(11), "container_id", ID, "cgroup") in stepped.confirming
    assert {*stepped.confirming, *stepped.contradicting} <= set(known.claims)
    assert known.claims.resolve(of_process(11), "pod_uid").witness == "container"
